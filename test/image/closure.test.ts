import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { closeOver } from '../../src/image/closure.ts';
import { readElf } from '../../src/image/elf.ts';
import { ensureLayer } from '../../src/image/ensure-layer.ts';
import { openCache } from '../../src/image/find-library.ts';
import { resolveLayers } from '../../src/image/resolve-layers.ts';
import { archives, host, isRoot, layerContext, makeScratch, specOf } from './scratch.ts';

const { signal } = new AbortController();
const has = (file: string): boolean => {
  if (fs.existsSync(file)) return true;
  console.warn(`skipped: what needs ${file} on this host`);
  return false;
};
const closure = async (...files: readonly string[]): Promise<readonly string[]> => {
  const { entries, diagnostics } = await closeOver(
    host,
    archives,
    files,
    ['rootfs', 'host', 'files'],
    signal,
  );
  expect(diagnostics).toEqual([]);
  return entries.map((entry) => entry.path);
};

describe('the closure of host files', () => {
  const scratch = makeScratch();

  it('finds the libraries that the dynamic loader would', async () => {
    const real = fs.realpathSync('/bin/bash');
    // The loader itself, trusted here because bash is this host's own, is the witness.
    const loader = (await readElf(archives, real))?.interpreter ?? '';
    const listed = execFileSync(loader, ['--list', real]).toString();
    const libraries = [...listed.matchAll(/=> (\/\S+)/g)].map((match) =>
      fs.realpathSync(match[1] ?? '').slice(1),
    );
    expect(libraries.length).toBeGreaterThan(0);
    const paths = await closure('/bin/bash');
    expect(paths).toEqual(
      expect.arrayContaining([...libraries, fs.realpathSync(loader).slice(1), real.slice(1)]),
    );
  });

  it('keeps symlinks as they are and takes their targets along', async () => {
    fs.mkdirSync(`${scratch}/a/b`, { recursive: true });
    fs.symlinkSync('a/b', `${scratch}/dir`);
    fs.symlinkSync(`${scratch}/dir/file`, `${scratch}/link`);
    fs.writeFileSync(`${scratch}/a/b/file`, 'x');
    const base = scratch.slice(1);
    expect(await closure(`${scratch}/link`)).toEqual(
      expect.arrayContaining([`${base}/link`, `${base}/dir`, `${base}/a/b/file`]),
    );
    const { entries } = await closeOver(host, archives, [`${scratch}/link`], [], signal);
    const links = entries.filter(
      (entry) => entry.path.startsWith(`${base}/`) && entry.status.type === 'symlink',
    );
    expect(links.map((entry) => entry.target)).toEqual(['a/b', `${scratch}/dir/file`]);
    // No path leads through a symlink: tar would be writing through one.
    const through = entries.filter(({ path }) => links.some((link) => path.startsWith(`${link.path}/`)));
    expect(through).toEqual([]);
  });

  it('takes folders whole, without running round in circles', async () => {
    fs.mkdirSync(`${scratch}/conf/site`, { recursive: true });
    fs.symlinkSync('..', `${scratch}/conf/up`);
    fs.symlinkSync('loop', `${scratch}/conf/loop`);
    fs.symlinkSync('missing', `${scratch}/conf/dangling`);
    fs.symlinkSync('/proc/self', `${scratch}/conf/kernel`);
    fs.writeFileSync(`${scratch}/conf/site/index`, 'x');
    const paths = await closure(`${scratch}/conf`);
    const names = ['', '/up', '/loop', '/dangling', '/kernel', '/site', '/site/index'];
    expect(paths).toEqual(expect.arrayContaining(names.map((name) => `${scratch.slice(1)}/conf${name}`)));
    expect(paths.filter((one) => one.startsWith('proc'))).toEqual([]);
  });

  it('brings the interpreter of a script, and what env would run', async () => {
    fs.writeFileSync(`${scratch}/script`, '#!/usr/bin/env bash\necho\n', { mode: 0o755 });
    const paths = await closure(`${scratch}/script`);
    expect(paths).toEqual(expect.arrayContaining(['usr/bin/env', fs.realpathSync('/bin/bash').slice(1)]));
  });

  it.each([
    ['/usr/bin/no-such-program', 'missing-host-file', /no-such-program does not exist on this host/],
    ['/', 'invalid-host-file', /cannot be part/],
    ['/proc/self/status', 'invalid-host-file', /cannot be part/],
    ['/dev/null', 'invalid-host-file', /cannot be part/],
  ])('says where the spec names something impossible: %s', async (file, code, message) => {
    const { diagnostics } = await closeOver(
      host,
      archives,
      ['/bin/sh', file],
      ['rootfs', 'host', 'files'],
      signal,
    );
    expect(diagnostics.map((one) => [one.code, one.path])).toEqual([[code, ['rootfs', 'host', 'files', 1]]]);
    expect(diagnostics[0]?.message).toMatch(message);
  });

  it('names a missing library and interpreter', async () => {
    // bash, with the name of its first library overwritten.
    const bytes = fs.readFileSync('/bin/bash');
    const needed = (await readElf(archives, fs.realpathSync('/bin/bash')))?.needed[0] ?? '';
    bytes.write('X', bytes.indexOf(`\0${needed}\0`) + 1);
    fs.writeFileSync(`${scratch}/broken`, bytes, { mode: 0o755 });
    fs.writeFileSync(`${scratch}/script2`, '#!/no/such/shell\n', { mode: 0o755 });
    const { diagnostics } = await closeOver(
      host,
      archives,
      [`${scratch}/broken`, `${scratch}/script2`],
      [],
      signal,
    );
    expect(diagnostics.map((one) => one.message)).toEqual([
      `library X${needed.slice(1)}, which ${scratch}/broken needs, was not found on this host`,
      `/no/such/shell, which ${scratch}/script2 runs under, was not found on this host`,
    ]);
  });

  it('takes damaged ELF files as they are', async () => {
    const bytes = fs.readFileSync('/bin/bash');
    const cut = [4, 20, 63, 64, 200, 4096].map((length) => bytes.subarray(0, length));
    const damaged = [32, 54, 56, 72, 96, 128].map((offset) =>
      Buffer.from(bytes).fill(0xff, offset, offset + 8),
    );
    for (const content of [...cut, ...damaged]) {
      fs.writeFileSync(`${scratch}/damaged`, content, { mode: 0o755 });
      const { entries } = await closeOver(host, archives, [`${scratch}/damaged`], [], signal);
      expect(entries.map((entry) => entry.path)).toContain(`${scratch.slice(1)}/damaged`);
    }
  });

  it.skipIf(!has('/etc/ld.so.cache'))('reads the cache of the dynamic loader', async () => {
    const cache = openCache(fs.readFileSync('/etc/ld.so.cache'));
    const [libc] = [...cache('libc.so.6'), ...cache('libc.musl-x86_64.so.1')];
    expect(fs.existsSync(libc ?? '')).toBe(true);
    expect(openCache(Buffer.from('rubbish'))('libc.so.6')).toEqual([]);
  });
});

describe.skipIf(!isRoot)('a root filesystem of host files', () => {
  const scratch = makeScratch();
  const make = async (...files: readonly string[]): Promise<string> => {
    const context = layerContext(scratch);
    const { layers, diagnostics } = await resolveLayers(
      host,
      archives,
      scratch,
      specOf({ kind: 'host', files }),
    );
    expect(diagnostics).toEqual([]);
    const [layer] = layers;
    if (layer?.recipe === undefined) throw new Error('no layer');
    await ensureLayer(context, layer.recipe);
    return layer.path;
  };
  const inside = (root: string, ...argv: readonly string[]): string =>
    execFileSync('unshare', ['--mount', '--net', 'chroot', root, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    }).toString();

  it('runs bash', async () => {
    const root = await make('/bin/bash', '/usr/bin/id');
    expect(inside(root, '/bin/bash', '-c', 'echo "from $BASH"; id -un')).toBe('from /bin/bash\nroot\n');
    expect(fs.statSync(`${root}/tmp`).mode & 0o7777).toBe(0o1777);
    expect(fs.existsSync(`${root}/etc/shadow`)).toBe(false);
    expect(fs.lstatSync(`${root}/bin`).isSymbolicLink()).toBe(fs.lstatSync('/bin').isSymbolicLink());
  });

  it.skipIf(!has('/usr/sbin/nginx'))('runs nginx, which knows its user', async () => {
    const root = await make('/usr/sbin/nginx', '/etc/nginx', '/bin/sh');
    expect(inside(root, '/bin/sh', '-c', 'nginx -v 2>&1')).toContain('nginx version');
    expect(inside(root, '/bin/sh', '-c', 'nginx -t 2>&1')).toContain('test is successful');
    expect(inside(root, '/bin/sh', '-c', 'nginx -t -g "user no-such-user;" 2>&1 || :')).toContain(
      'no-such-user',
    );
  });

  it('has the same key until a file changes', async () => {
    fs.writeFileSync(`${scratch}/config`, 'one');
    const keyOf = async (): Promise<string | undefined> =>
      (
        await resolveLayers(
          host,
          archives,
          scratch,
          specOf({ kind: 'host', files: ['/bin/sh', `${scratch}/config`] }),
        )
      ).layers[0]?.recipe?.key;
    const first = await keyOf();
    expect(await keyOf()).toBe(first);
    fs.writeFileSync(`${scratch}/config`, 'two');
    // The kernel's clock for files ticks every few milliseconds: both texts may have been written in one tick.
    fs.utimesSync(`${scratch}/config`, 1, 1);
    expect(await keyOf()).not.toBe(first);
    const second = await keyOf();
    fs.chmodSync(`${scratch}/config`, 0o600);
    expect(await keyOf()).not.toBe(second);
  });

  it('is refused when a file changed since the plan', async () => {
    fs.writeFileSync(`${scratch}/changing`, 'one');
    const { layers } = await resolveLayers(
      host,
      archives,
      scratch,
      specOf({ kind: 'host', files: [`${scratch}/changing`] }),
    );
    fs.writeFileSync(`${scratch}/changing`, 'other');
    const recipe = layers[0]?.recipe;
    if (recipe === undefined) throw new Error('no layer');
    await expect(ensureLayer(layerContext(scratch), recipe)).rejects.toThrow(/changed since the plan/);
  });
});
