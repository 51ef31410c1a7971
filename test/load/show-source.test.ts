import { describe, expect, it } from 'vitest';
import { renderDiagnostic } from '../../src/load/render-diagnostic.ts';
import { maskSecrets, showSource } from '../../src/load/show-source.ts';

describe('a source in a message', () => {
  it.each([
    ['https://user:hunter2@example.org/a.tar.gz?X-Signature=s3cret#x', 'https://example.org/a.tar.gz'],
    ['http://user@127.0.0.1:8099/@scope/a', 'http://127.0.0.1:8099/@scope/a'],
    ['https://user:hun/ter2@example.org/a', 'https://…'],
    ['ftp://user:hunter2@example.org/a', 'ftp://example.org/a'],
    ['docker://user:hunter2@quay.io/a/b:1', 'docker://quay.io/a/b:1'],
    ['docker://alpine:3@sha256:00', 'docker://alpine:3@sha256:00'],
    ['docker://quay.io/a@sha256:00', 'docker://quay.io/a@sha256:00'],
    ['/srv/what?/me@home', '/srv/what?/me@home'],
  ])('%s is %s', (source, shown) => {
    expect(showSource(source)).toBe(shown);
  });
});

describe('a line of a spec', () => {
  it.each([
    [
      'rootfs: { tarball: "https://user:hunter2@example.org/a?sig=s3cret", sha256: 00 }',
      'rootfs: { tarball: "https://************@example.org/a?**********", sha256: 00 }',
    ],
    ['  - tarball: https://me:a b@c/d', '  - tarball: https://******@c/d'],
    ['image: docker://alpine:3@sha256:00', 'image: docker://alpine:3@sha256:00'],
    ['image: docker://me:pw@quay.io/a', 'image: docker://*****@quay.io/a'],
    ['tarball: https://registry.example/@scope/a.tgz', 'tarball: https://registry.example/@scope/a.tgz'],
  ])('%s shows no secret', (line, shown) => {
    expect(maskSecrets(line)).toBe(shown);
  });

  it('has its caret where it was', () => {
    const range = { start: { line: 1, column: 31, offset: 0 }, end: { line: 1, column: 34, offset: 0 } };
    const diagnostic = {
      code: 'x',
      severity: 'error',
      message: 'no',
      path: [],
      file: 'a.yaml',
      range,
    } as const;
    expect(renderDiagnostic(diagnostic, '{ a: "https://u:pw@h/a?b=c", name: Web }', { color: false })).toBe(
      'a.yaml:1:31: no\n  1 | { a: "https://****@h/a?***", name: Web }\n    |                               ^^^',
    );
  });
});
