// The lock file as text and what it does to a spec; that it is obeyed is tested in test/system/lock.test.ts.
import { describe, expect, it } from 'vitest';
import { lockKey, parseLock, pinToLock, renderLock, type LockFile } from '../../src/image/lock-file.ts';
import type { RootfsSource } from '../../src/load/spec.ts';
import { specOf } from './scratch.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const lockOf = (key: string, hex = A): LockFile => ({
  version: 1,
  sources: { [key]: { digest: `sha256:${hex}`, size: 1 } },
});

describe('the name of a source in the lock file', () => {
  it.each<[RootfsSource, string]>([
    [{ kind: 'tarball', tarball: '/specs/app/a.tar' }, './a.tar'],
    [{ kind: 'tarball', tarball: '/specs/shared/a.tar' }, '../shared/a.tar'],
    [{ kind: 'tarball', tarball: 'https://example.org/a.tar' }, 'https://example.org/a.tar'],
    [{ kind: 'image', image: 'oci:/specs/app/layout:v1' }, 'oci:./layout:v1'],
    [{ kind: 'image', image: 'dir:/specs/other' }, 'dir:../other'],
    [{ kind: 'image', image: 'docker://example.org/a:1' }, 'docker://example.org/a:1'],
    [{ kind: 'image', image: `docker://example.org/a:1@sha256:${A}` }, 'docker://example.org/a:1'],
  ])('%o', (source, key) => {
    if (source.kind !== 'tarball' && source.kind !== 'image') throw new Error('not lockable');
    expect(lockKey(source, '/specs/app')).toBe(key);
  });
});

describe('a lock file', () => {
  it('is read as it was written, in one order', () => {
    const sources = { b: { digest: `sha256:${B}`, size: 2 }, a: { digest: `sha256:${A}`, size: 1 } };
    const text = renderLock(sources);
    expect(text.indexOf('"a"')).toBeLessThan(text.indexOf('"b"'));
    expect(parseLock(text)).toEqual({ version: 1, sources });
  });

  it.each([
    '',
    '[]',
    'null',
    '{}',
    '{"version":2,"sources":{}}',
    '{"version":1,"sources":{"a":{"digest":"sha256:../../etc","size":1}}}',
    '{"version":1,"sources":{"a":{"digest":"md5:00"}}}',
    '{"version":1,"sources":{"a":null}}',
  ])('of another kind is not taken: %s', (text) => expect(parseLock(text)).toBeUndefined());
});

describe('pinning a spec to a lock', () => {
  const pin = (rootfs: RootfsSource, lock: LockFile) => pinToLock(specOf(rootfs), lock, '/specs');

  it.each<[RootfsSource, string, Partial<Record<string, string>>]>([
    [{ kind: 'tarball', tarball: '/specs/a.tar' }, './a.tar', { sha256: A }],
    [{ kind: 'tarball', tarball: '/specs/a.tar', sha256: A }, './a.tar', { sha256: A }],
    [{ kind: 'image', image: 'oci:/specs/l:1' }, 'oci:./l:1', { digest: `sha256:${A}` }],
    [{ kind: 'image', image: 'docker://r/a:1' }, 'docker://r/a:1', { image: `docker://r/a:1@sha256:${A}` }],
    [
      { kind: 'image', image: `docker://r/a:1@sha256:${A}` },
      'docker://r/a:1',
      { image: `docker://r/a:1@sha256:${A}` },
    ],
  ])('%o', (source, key, expected) => {
    const { spec, diagnostics } = pin(source, lockOf(key));
    expect(diagnostics).toEqual([]);
    expect(spec.rootfs).toEqual({ ...source, ...expected });
  });

  it('pins extra layers too, and leaves folders alone', () => {
    const directory = { kind: 'directory', directory: '/specs/site', destination: '/' } as const;
    const spec = specOf(
      { kind: 'directory', directory: '/srv' },
      { kind: 'tarball', tarball: '/specs/a.tar' },
      directory,
    );
    expect(pinToLock(spec, lockOf('./a.tar'), '/specs')).toEqual({
      spec: { ...spec, layers: [{ kind: 'tarball', tarball: '/specs/a.tar', sha256: A }, directory] },
      diagnostics: [],
    });
  });

  it.each<[RootfsSource, LockFile, string, string]>([
    [{ kind: 'tarball', tarball: '/specs/a.tar' }, lockOf('./b.tar'), 'not-locked', 'tarball'],
    [{ kind: 'tarball', tarball: '/specs/a.tar', sha256: B }, lockOf('./a.tar'), 'lock-differs', 'tarball'],
    [
      { kind: 'image', image: `docker://r/a:1@sha256:${B}` },
      lockOf('docker://r/a:1'),
      'lock-differs',
      'image',
    ],
  ])('complains with the place: %o', (source, lock, code, key) => {
    const { diagnostics } = pin(source, lock);
    expect(diagnostics).toMatchObject([
      {
        code,
        severity: 'error',
        path: ['rootfs', key],
        hint: expect.stringContaining('runspec lock') as unknown,
      },
    ]);
  });
});
