// What a container has written itself, planted in its writable layer or in a volume before the next start,
// and what an image says through symlinks to the host's programs and users: none of it reaches the host.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { listPrecious, makeSentinel } from '../support/sentinel.ts';
import { copyRootfs, makeRootfs } from '../support/small-rootfs.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';

const PROGRAMS = ['/bin/sh', '/bin/ln', '/bin/rm', '/bin/mv', '/bin/mkdir', '/bin/sleep', '/bin/cat'];
const PLACES = [
  'dev',
  'proc',
  'sys',
  'etc',
  'run',
  'srv',
  'data',
  'dev/pts',
  'dev/shm',
  'etc/resolv.conf',
  'etc/hosts',
  'etc/passwd',
];

/** Where a runtime works by path before it enters the root. */
const REFUSED = ['dev', 'proc', 'sys'];

describe.skipIf(!requireSystem())('hostile layers', () => {
  let host: TestHost;
  let base: string;
  let sentinel: string;
  let made = 0;

  beforeAll(async () => {
    host = await createTestHost();
    base = await makeRootfs(host, 'base', PROGRAMS);
    sentinel = makeSentinel(host);
    host.write('site/index', 'the site\n');
  });
  afterAll(() => host.destroy());

  interface Options {
    readonly script?: string;
    readonly args?: readonly string[];
    readonly rootfs?: string;
    readonly writable?: 'ephemeral' | 'persistent';
    readonly user?: string;
    readonly mounts?: readonly unknown[];
  }

  const specOf = (name: string, options: Options): string => {
    const { script = 'echo end', args = ['/bin/sh', '-c', script], user = '0' } = options;
    const spec = {
      runspec: 1,
      name: host.name(name),
      rootfs: { directory: options.rootfs ?? base },
      writable: options.writable ?? 'ephemeral',
      process: { args, user, stopTimeout: '10ms' },
      mounts: options.mounts ?? ['../site:/srv:ro', { type: 'volume', source: 'kept', destination: '/data' }],
    };
    return host.write(`specs/${name}.json`, JSON.stringify(spec, undefined, 1));
  };

  const image = async (edit: (rootfs: string) => void): Promise<string> => {
    made += 1;
    const rootfs = await copyRootfs(host, base, `image-${made}`);
    edit(rootfs);
    return rootfs;
  };

  /** Runs what is given, and demands afterwards that the machine lost nothing and keeps nothing. */
  const expectHarmless = async (name: string, test: () => Promise<void>): Promise<void> => {
    const before = await host.snapshot();
    const kept = listPrecious(host, sentinel);
    try {
      await test();
      expect(listPrecious(host, sentinel)).toEqual(kept);
    } finally {
      await succeed(host, 'down', host.name(name), '--volumes');
    }
    expect(listPrecious(host, sentinel)).toEqual(kept);
    fs.rmSync(path.join(host.folder, 'specs'), { recursive: true });
    expect((await host.settledDiff(before)).filter((line) => !line.includes('/specs'))).toEqual([]);
  };

  const apply = (file: string): Promise<string> => succeed(host, '--quiet', 'apply', file);

  /** What `apply` says when it refuses, with a hint. */
  const refusalOf = async (file: string): Promise<string> => {
    const { status, stderr } = await host.runspec('--quiet', 'apply', file);
    expect(status).toBe(1);
    expect(stderr).toMatch(/hint: /);
    return stderr;
  };

  const end = async (name: string): Promise<string> => {
    await expect
      .poll(async () => (await host.runspec('logs', host.name(name))).stdout, {
        timeout: 10_000,
        interval: 100,
      })
      .toContain('end\n');
    return (await host.runspec('logs', host.name(name))).stdout;
  };

  const PLANT = `
    /bin/mv /etc /etc.old; /bin/ln -s SENTINEL /etc
    /bin/mv /run /run.old; /bin/ln -s SENTINEL /run
    for place in /dev /proc /sys /srv /data; do /bin/rm -rf $place; /bin/ln -sfn SENTINEL $place; done
    /bin/ln -s SENTINEL/../../../../../../.. /out
    echo end`;

  it.each(['ephemeral', 'persistent'] as const)(
    'starts again over what a container planted in its own %s layer',
    (writable) =>
      expectHarmless('again', async () => {
        const script = PLANT.replaceAll('SENTINEL', sentinel);
        await apply(specOf('again', { script: `exec 2>/dev/null; ${script}`, writable }));
        await end('again');
        if (writable === 'persistent') await succeed(host, 'down', host.name('again'));
        // The same again, and then another process: it must find its mounts where it looks for them.
        const next = specOf('again', {
          script: 'echo x >/dev/null; /bin/cat /srv/index; echo end',
          writable,
        });
        await apply(next);
        expect(await end('again')).toContain('the site\nend\n');
      }),
  );

  const link = (file: string): Promise<string> =>
    host.output([
      'sh',
      '-euc',
      'rm -rf "$1"; mkdir -p "$(dirname "$1")"; ln -s "$2" "$1"',
      'sh',
      file,
      sentinel,
    ]);

  // As a container with more rights than the default could leave them.
  it.each(PLACES)('is not led out by a symlink at %s of a persistent layer', (place) =>
    expectHarmless('planted', async () => {
      const mounts = ['../site:/srv:ro', { type: 'tmpfs', destination: '/data' }];
      const file = specOf('planted', { writable: 'persistent', mounts });
      await apply(file);
      await end('planted');
      await succeed(host, 'down', host.name('planted'));
      await link(path.join(host.dataDir, 'writable', host.name('planted'), 'upper', place));
      if (REFUSED.includes(place)) {
        expectSymlinkRefused(place, await refusalOf(file));
      } else {
        await apply(file);
        await end('planted');
      }
    }),
  );

  it.each(REFUSED)('does not start again in a root whose /%s has become a symlink', (place) =>
    expectHarmless('restart', async () => {
      const file = specOf('restart', {});
      await apply(file);
      await end('restart');
      await link(path.join(host.stateDir, host.name('restart'), 'rootfs', place));
      expectSymlinkRefused(place, await refusalOf(file));
    }),
  );

  it('is not led out by symlinks in a volume below which something else is mounted', () =>
    expectHarmless('volume', async () => {
      const volume = { type: 'volume', source: 'kept', destination: '/data' };
      const plant = specOf('volume', {
        script: `/bin/ln -s ${sentinel} /data/link; echo end`,
        mounts: [volume],
      });
      await apply(plant);
      await end('volume');
      const mounts = [volume, '../site:/data/link/deep'];
      await apply(specOf('volume', { mounts }));
      await end('volume');
    }));

  it('binds what a symlink of the host leads to, as its owner asked', () =>
    expectHarmless('bind', async () => {
      const link = path.join(host.folder, 'specs/link');
      fs.mkdirSync(path.dirname(link), { recursive: true });
      fs.symlinkSync('../site', link);
      await apply(specOf('bind', { script: '/bin/cat /srv/index; echo end', mounts: ['./link:/srv:ro'] }));
      expect(await end('bind')).toBe('the site\nend\n');
    }));

  it.each([
    ['absolute', (file: string) => fs.symlinkSync(path.join(sentinel, 'program'), file)],
    ['relative', (file: string) => fs.symlinkSync(`${'../'.repeat(30)}${sentinel.slice(1)}/program`, file)],
    ['through a folder', (file: string) => fs.symlinkSync('/out/program', file)],
  ] as const)('does not run a program of the host that an %s symlink of the image leads to', (_, link) =>
    expectHarmless('program', async () => {
      const rootfs = await image((root) => {
        fs.symlinkSync(sentinel, path.join(root, 'out'));
        link(path.join(root, 'program'));
      });
      for (const program of ['/program', '/out/program', '/bin/../out/program']) {
        const said = await refusalOf(specOf('program', { rootfs, args: [program] }));
        expect(said).toMatch(/program\.json:\d+:\d+: error: bundle: no program /);
      }
      fs.rmSync(rootfs, { recursive: true });
    }),
  );

  it('knows no users of the host, wherever the passwd of an image leads', () =>
    expectHarmless('users', async () => {
      const rootfs = await image((root) => {
        for (const name of ['passwd', 'group']) {
          fs.rmSync(path.join(root, 'etc', name));
          fs.symlinkSync(path.join(sentinel, name), path.join(root, 'etc', name));
        }
      });
      for (const user of ['intruder', '0:intruders']) {
        expect(await refusalOf(specOf('users', { rootfs, user }))).toMatch(
          /no (user intruder|group intruders) in the root file system/,
        );
      }
      fs.rmSync(rootfs, { recursive: true });
    }));
});

function expectSymlinkRefused(place: string, said: string): void {
  expect(said).toMatch(new RegExp(`/${place} in the writable layer is a symlink`));
}
