// Images, writable layers and volumes that try to lead runspec or a runtime to the host: places where
// something is mounted or written are symlinks to a sentinel folder of the host, fifos, files or loops.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { listPrecious, makeSentinel } from '../support/sentinel.ts';
import { copyRootfs, makeRootfs } from '../support/small-rootfs.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';

/** Places a container has anyway, and those that the spec below mounts something on. */
const FOLDERS = ['dev', 'proc', 'sys', 'etc', 'run'];
const INNER_FOLDERS = ['dev/pts', 'dev/shm', 'dev/mqueue', 'sys/fs/cgroup', 'srv'];
const FILES = ['etc/resolv.conf', 'etc/hosts', 'etc/hostname', 'etc/passwd', 'etc/group'];

/** What is at a place of the image instead of what belongs there. `sentinel` is a folder of the host. */
const KINDS: Readonly<Record<string, (file: string, sentinel: string) => void>> = {
  'an absolute symlink': (file, sentinel) => fs.symlinkSync(sentinel, file),
  'an absolute symlink to a file': (file, sentinel) => fs.symlinkSync(path.join(sentinel, 'secret'), file),
  'a relative symlink': (file, sentinel) => fs.symlinkSync(`${'../'.repeat(30)}${sentinel.slice(1)}`, file),
  'a dangling symlink': (file, sentinel) => fs.symlinkSync(path.join(sentinel, 'new/file'), file),
  'a symlink to itself': (file) => fs.symlinkSync(path.basename(file), file),
  'a file': (file) => fs.writeFileSync(file, 'a file\n'),
  'a folder': (file) => fs.mkdirSync(path.join(file, 'inner'), { recursive: true }),
  'a fifo': () => undefined,
};

/** What cannot be made sense of is refused; all else runs. */
const REFUSALS: Readonly<Record<string, RegExp>> = {
  'a symlink to itself, folders': /\/run runs in a loop of symlinks/,
  'a symlink to itself, inner folders': /\/srv runs in a loop of symlinks/,
  'a folder, files': /\/etc\/passwd in the root file system is a directory, not a file/,
  'a fifo, files': /\/etc\/passwd in the root file system is a fifo, not a file/,
};

/** Says what it finds and writes to every place there is, as root. */
const INTRUDER = `
  for place in /dev/null /dev/new /dev/shm/new /etc/resolv.conf /etc/hosts /etc/hostname /etc/passwd /etc/new \\
    /run/new /tmp/new /srv/new /data/new /new; do
    [ -p "$place" ] || echo planted 2>/dev/null >"$place"
  done
  [ -c /dev/null ] && echo dev
  [ -e /proc/self/stat ] && echo proc
  [ -d /sys/kernel ] && echo sys
  read -r text </srv/index && echo "$text"
  echo end`;
const RUNS = { status: 0, told: ['dev', 'proc', 'sys', 'the site', 'end'] };

const refused = (reason: RegExp): unknown => ({
  status: 1,
  told: [expect.stringMatching(new RegExp(`${reason.source}[^]*\\n +hint: `))],
});

describe.skipIf(!requireSystem())('hostile images', () => {
  let host: TestHost;
  let base: string;
  let sentinel: string;
  let made = 0;

  beforeAll(async () => {
    host = await createTestHost();
    base = await makeRootfs(host, 'base', [
      '/bin/sh',
      '/bin/ln',
      '/bin/rm',
      '/bin/mv',
      '/bin/mkdir',
      '/bin/sleep',
    ]);
    sentinel = makeSentinel(host);
    host.write('site/index', 'the site\n');
  });
  afterAll(() => host.destroy());

  const specOf = (name: string, rootfs: string, more = '', script = INTRUDER): string =>
    host.write(
      `specs/${name}.yaml`,
      `runspec: 1
name: ${host.name(name)}
rootfs: ${rootfs}
process: { args: [/bin/sh, -c, ${JSON.stringify(script)}], stopTimeout: 10ms }
mounts:
  - { type: tmpfs, destination: /run }
  - { type: tmpfs, destination: /tmp }
  - ../site:/srv:ro
  - { type: volume, source: kept, destination: /data }
${more}`,
    );

  const precious = (): readonly string[] => listPrecious(host, sentinel);

  /** Plants in a copy of the base. */
  const image = async (kind: string, places: readonly string[]): Promise<string> => {
    made += 1;
    const rootfs = await copyRootfs(host, base, `image-${made}`);
    for (const place of places) await plant(host, path.join(rootfs, place), kind, sentinel);
    return rootfs;
  };

  const logsOf = async (name: string): Promise<readonly string[]> => {
    await expect
      .poll(async () => (await host.runspec('logs', host.name(name))).stdout, {
        timeout: 10_000,
        interval: 100,
      })
      .toContain('end\n');
    return (await host.runspec('logs', host.name(name))).stdout.trim().split('\n');
  };

  interface Outcome {
    readonly status: number | undefined;
    /** What the container said, or why there is none. */
    readonly told: readonly string[];
  }

  /** Nothing precious is lost, and nothing left: not while it runs, not afterwards, not when it is refused. */
  const survives = async (name: string, file: string): Promise<Outcome> => {
    const before = await host.snapshot();
    const kept = precious();
    const { status, stderr } = await host.runspec('--quiet', 'apply', file);
    const told = status === 0 ? await logsOf(name) : [stderr];
    expect(precious()).toEqual(kept);
    if (status === 0) await succeed(host, 'down', host.name(name), '--volumes');
    expect(precious()).toEqual(kept);
    expect(await host.settledDiff(before)).toEqual([]);
    return { status, told };
  };

  it('runs an honest image, and its sentinel is seen to change when it should', async () => {
    const file = specOf('honest', '{ directory: ../base }');
    expect(await survives('honest', file)).toEqual(RUNS);
    const kept = precious();
    fs.writeFileSync(path.join(sentinel, 'deep/ptmx'), 'changed');
    expect(precious()).not.toEqual(kept);
    fs.writeFileSync(path.join(sentinel, 'deep/ptmx'), 'x');
    expect(precious()).toEqual(kept);
  });

  const single = [...FOLDERS, ...INNER_FOLDERS, 'data', ...FILES].map((place) => [place, [place]] as const);
  it.each(single)('whose %s is a symlink to the host', async (_, places) => {
    const rootfs = await image('an absolute symlink', places);
    const file = specOf('single', `{ directory: ${rootfs} }`);
    expect(await survives('single', file)).toEqual(RUNS);
  });

  const groups = Object.entries({ folders: FOLDERS, 'inner folders': INNER_FOLDERS, files: FILES });
  const kinds = Object.keys(KINDS).flatMap((kind) =>
    groups.map(([group, places]) => [kind, group, places] as const),
  );
  it.each(kinds)('with %s for each of its %s', async (kind, group, places) => {
    const rootfs = await image(kind, places);
    const file = specOf('kinds', `{ directory: ${rootfs} }`);
    const refusal = REFUSALS[`${kind}, ${group}`];
    const expected = refusal === undefined ? RUNS : refused(refusal);
    expect(await survives('kinds', file)).toEqual(expected);
  });

  it('whose folder for a mount is a symlink into itself by way of the host', async () => {
    const rootfs = await image('an absolute symlink', ['tmp']);
    const file = specOf('itself', `{ directory: ${rootfs} }`);
    expect(await survives('itself', file)).toEqual(refused(/\/tmp runs in a loop of symlinks/));
  });

  it.each(groups)('in an archive, with symlinks to the host for each of its %s', async (_, places) => {
    const rootfs = await image('an absolute symlink', places);
    await host.output(['tar', '-C', rootfs, '-cf', `${rootfs}.tar`, '.']);
    const file = specOf('archive', `{ tarball: ${rootfs}.tar }`);
    expect(await survives('archive', file)).toEqual(RUNS);
  });
});

async function plant(host: TestHost, file: string, kind: string, sentinel: string): Promise<void> {
  const parent = path.dirname(file);
  // The parent may be a symlink planted before: then the place is gone with it.
  if (fs.existsSync(parent) && fs.lstatSync(parent).isSymbolicLink()) return;
  fs.mkdirSync(parent, { recursive: true });
  fs.rmSync(file, { recursive: true, force: true });
  if (kind === 'a fifo') await host.output(['mkfifo', file]);
  else KINDS[kind]?.(file, sentinel);
}
