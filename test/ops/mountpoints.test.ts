import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { mountpoints } from '../../src/ops/mountpoints.ts';
import type { OpContext } from '../../src/ops/op.ts';
import type { Mountpoint, MountpointsStep } from '../../src/plan/plan.ts';
import { archives, host, isRoot, listTree, makeScratch } from '../image/scratch.ts';

const context = {
  host,
  archives,
  container: 'web',
  signal: new AbortController().signal,
} as unknown as OpContext;

const RUNTIME: readonly Mountpoint[] = [
  ...['/dev', '/dev/pts', '/dev/shm', '/proc', '/sys'].map(
    (path) => ({ path, type: 'directory', symlinks: 'replace' }) as const,
  ),
  ...['/etc/resolv.conf', '/etc/hosts', '/etc/hostname'].map(
    (path) => ({ path, type: 'file', symlinks: 'replace' }) as const,
  ),
];
const site: Mountpoint = { path: '/usr/share/nginx/html', type: 'directory', symlinks: 'resolve' };

/** What an image has in place of the folders and files that are mounted on; OUTSIDE stands for a host folder. */
const IMAGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'is empty': {},
  'has folders': {
    dev: 'dir',
    'dev/pts': 'dir',
    proc: 'dir',
    sys: 'dir',
    etc: 'dir',
    'usr/share/nginx/html': 'dir',
  },
  'has host folders as absolute symlinks': {
    dev: '-> OUTSIDE',
    proc: '-> OUTSIDE',
    sys: '-> OUTSIDE',
    etc: '-> OUTSIDE',
    usr: '-> OUTSIDE',
  },
  'has relative symlinks': {
    dev: '-> ../../../OUTSIDE',
    etc: '-> ../../../../OUTSIDE',
    'usr/share': '-> ../../../OUTSIDE',
  },
  'has dangling symlinks': {
    dev: '-> missing',
    proc: '-> missing/too',
    etc: '-> /nowhere',
    usr: '-> /nowhere/usr',
  },
  'has a chain of symlinks': { dev: '-> a', a: '-> b', b: '-> OUTSIDE', 'usr/share/nginx': '-> ../../b' },
  'has loops': { dev: '-> dev', proc: '-> sys', sys: '-> proc', etc: '-> ./etc' },
  'has symlinks inside of the folders': {
    'dev/pts': '-> OUTSIDE',
    'dev/shm': '-> /proc',
    'etc/resolv.conf': '-> OUTSIDE/sentinel',
    'etc/hosts': '-> missing',
    'usr/share/nginx/html': '-> OUTSIDE',
  },
  'has fifos': { dev: 'fifo', proc: 'fifo', etc: 'fifo', 'usr/share/nginx/html': 'fifo' },
  'has files for folders': { dev: 'file', sys: 'file', etc: 'file', 'usr/share/nginx/html': 'file' },
  'has folders for files': { 'etc/resolv.conf': 'dir', 'etc/hosts': 'dir', 'etc/hostname': 'fifo' },
};

describe.skipIf(!isRoot)('the layer of mount points', () => {
  const scratch = makeScratch();

  function makeImage(
    name: string,
    content: Readonly<Record<string, string>>,
  ): { step: MountpointsStep; outside: string; image: string } {
    const base = path.join(scratch, name.replaceAll(' ', '-'));
    const [image, outside] = [path.join(base, 'image'), path.join(base, 'outside')];
    fs.mkdirSync(image, { recursive: true });
    fs.mkdirSync(outside);
    fs.writeFileSync(`${outside}/sentinel`, 'untouched');
    for (const [place, what] of Object.entries(content)) {
      const full = path.join(image, place);
      fs.mkdirSync(path.dirname(full), { recursive: true });
      if (what === 'dir') fs.mkdirSync(full, { recursive: true });
      else if (what === 'file') fs.writeFileSync(full, '');
      else if (what === 'fifo') execFileSync('mkfifo', [full]);
      else fs.symlinkSync(what.slice(3).replace('OUTSIDE', outside), full);
    }
    const step: MountpointsStep = {
      id: 'mountpoints',
      op: 'mountpoints',
      needs: [],
      after: [],
      path: path.join(base, 'layer'),
      lower: [image],
      targets: [...RUNTIME, site],
    };
    return { step, outside, image };
  }

  for (const [name, content] of Object.entries(IMAGES)) {
    it(`holds only real folders and files when the image ${name}`, async () => {
      const { step, outside, image } = makeImage(name, content);
      const before = [listTree(outside), listTree(image)];

      expect(await mountpoints.probe(context, step)).toEqual({ state: 'absent' });
      await mountpoints.apply(context, step, {});
      expect(await mountpoints.probe(context, step)).toMatchObject({ state: 'present' });

      expect(listTree(step.path).filter((line) => !/ (?:40|100)\d+ /.test(line))).toEqual([]);
      for (const target of RUNTIME) {
        const status = fs.lstatSync(step.path + target.path);
        expect([target.path, status.isDirectory(), status.isFile()]).toEqual([
          target.path,
          target.type === 'directory',
          target.type === 'file',
        ]);
      }
      expect([listTree(outside), listTree(image)]).toEqual(before);
      // In the finished root the user's own place is a folder as well, wherever the image's symlinks lead.
      const merged = path.join(path.dirname(step.path), 'merged');
      fs.mkdirSync(merged);
      const mount =
        'mount -t overlay overlay -o "lowerdir=$1:$2" "$3"; find "$3/dev" "$3/proc" -maxdepth 0 -type d | wc -l';
      expect(
        execFileSync('unshare', ['-m', 'sh', '-c', mount, 'sh', step.path, image, merged]).toString(),
      ).toBe('2\n');

      const listed = listTree(step.path);
      await mountpoints.apply(context, step, {});
      expect(listTree(step.path)).toEqual(listed);
      expect(await mountpoints.revert(context, step, {}, { volumes: false })).toEqual({ outcome: 'removed' });
      expect(await mountpoints.revert(context, step, {}, { volumes: false })).toEqual({ outcome: 'gone' });
      expect([listTree(outside), listTree(image)]).toEqual(before);
    });
  }

  it.each(['file', 'fifo', '-> ../../etc/passwd'])('refuses a mount that would lie in a %s', async (what) => {
    const { step, image } = makeImage(`in the way ${what.replaceAll('/', '')}`, {
      'etc/passwd': 'file',
      'usr/share/nginx': what,
    });
    const before = listTree(image);
    await expect(mountpoints.apply(context, step, {})).rejects.toMatchObject({
      message: `the mount on ${site.path} would lie in /${what.startsWith('-') ? 'etc/passwd' : 'usr/share/nginx'}, which in the root file system is a ${what === 'fifo' ? 'fifo' : 'file'}`,
      destination: site.path,
    });
    expect(listTree(image)).toEqual(before);
  });

  it('keeps mode and owner of the folders it stands over', async () => {
    const { step, image } = makeImage('modes', { tmp: 'dir', etc: 'dir' });
    fs.chmodSync(`${image}/tmp`, 0o1777);
    fs.chownSync(`${image}/etc`, 5, 6);
    fs.chmodSync(`${image}/etc`, 0o711);
    await mountpoints.apply(
      context,
      {
        ...step,
        targets: [...RUNTIME, { path: '/tmp/cache/x', type: 'directory', symlinks: 'resolve' }],
      },
      {},
    );
    const lines = listTree(step.path);
    expect(lines).toContain('tmp 41777 0:0');
    expect(lines).toContain('etc 40711 5:6');
    expect(lines).toContain('tmp/cache 40755 0:0');
  });

  it('follows the links of the image for the places that users name', async () => {
    const { step } = makeImage('follow', { 'var/run': '-> ../run', run: 'dir', bin: '-> usr/bin' });
    const targets: readonly Mountpoint[] = [
      { path: '/var/run/app', type: 'directory', symlinks: 'resolve' },
      { path: '/bin/tool', type: 'file', symlinks: 'resolve' },
    ];
    await mountpoints.apply(context, { ...step, targets }, {});
    expect(listTree(step.path)).toEqual([
      'run 40755 0:0',
      'run/app 40755 0:0',
      'usr 40755 0:0',
      'usr/bin 40755 0:0',
      'usr/bin/tool 100644 0:0',
    ]);
  });

  it('gives the place of a tmpfs its mode, which runc takes over', async () => {
    const { step } = makeImage('of-tmpfs', { cache: 'dir' });
    const targets: readonly Mountpoint[] = [
      { path: '/cache', type: 'directory', symlinks: 'resolve', mode: 0o1777 },
      { path: '/run/keys', type: 'directory', symlinks: 'resolve', mode: 0o700 },
    ];
    await mountpoints.apply(context, { ...step, targets }, {});
    expect(listTree(step.path)).toEqual(['cache 41777 0:0', 'run 40755 0:0', 'run/keys 40700 0:0']);
  });

  it('completes what a kill left half done, and tells what is missing', async () => {
    const { step } = makeImage('half', { etc: 'dir' });
    fs.mkdirSync(`${step.path}/etc`, { recursive: true });
    fs.symlinkSync('/etc/hosts', `${step.path}/proc`);
    const probe = await mountpoints.probe(context, step);
    expect(probe).toMatchObject({ state: 'drifted', inPlace: false });
    expect(probe).toHaveProperty(
      'differences',
      expect.arrayContaining([
        { property: '/proc', wanted: 'directory', found: 'symlink' },
        { property: '/dev', wanted: 'directory', found: 'missing' },
      ]),
    );
    await mountpoints.apply(context, step, {});
    expect(await mountpoints.probe(context, step)).toMatchObject({ state: 'present' });
  });

  it('refuses a place wanted as a folder and as a file', async () => {
    const { step } = makeImage('conflict', {});
    const targets: readonly Mountpoint[] = [
      { path: '/data', type: 'directory', symlinks: 'resolve' },
      { path: '/data', type: 'file', symlinks: 'resolve' },
    ];
    await expect(mountpoints.apply(context, { ...step, targets }, {})).rejects.toThrow(
      /data is wanted as a file but is a directory/,
    );
  });
});
