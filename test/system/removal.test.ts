// A delete that runs through a live bind mount would be the worst of all bugs. Somebody binds a precious
// folder of the same file system into what runspec is going to remove: not a byte of it may go.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireSystem } from '../support/requirements.ts';
import { makeRootfs } from '../support/small-rootfs.ts';
import { listFiles } from '../support/snapshot-files.ts';
import { createTestHost, type Started, type TestHost } from '../support/test-host.ts';

interface Place {
  readonly name: string;
  /** Where the precious folder is bound; `{state}`, `{data}` and `{name}` are filled in. */
  readonly at: string;
  /** It is there already: the mount covers it. */
  readonly covers?: true;
  readonly more?: string;
  readonly volumes?: true;
}

const PLACES: readonly Place[] = [
  { name: 'the root file system', at: '{state}/{name}/rootfs/mnt' },
  { name: 'a folder of the root file system', at: '{state}/{name}/rootfs/etc', covers: true },
  { name: 'the state folder', at: '{state}/{name}/planted' },
  { name: "the runtime's folder", at: '{state}/{name}/runtime/planted' },
  { name: "the runtime's folder, in the container's", at: '{state}/{name}/runtime/{name}/planted' },
  { name: 'the writable layer', at: '{upper}/planted' },
  { name: 'the writable layer, deep', at: '{upper}/a/b/c/planted' },
  { name: 'the work folder of the overlay', at: '{data}/containers/{name}/writable/work/planted' },
  { name: 'the folder of the writable layer', at: '{data}/containers/{name}/writable', covers: true },
  { name: 'the layer of mount points', at: '{data}/containers/{name}/mountpoints/planted' },
  { name: 'the generated files', at: '{data}/containers/{name}/etc/planted' },
  { name: 'the bundle', at: '{data}/containers/{name}/bundle/planted' },
  { name: 'the records', at: '{data}/containers/{name}/planted' },
  { name: 'the records themselves', at: '{data}/containers/{name}', covers: true },
  { name: 'the bundle itself', at: '{data}/containers/{name}/bundle', covers: true },
  { name: 'a folder of the records', at: '{data}/containers/{name}/etc', covers: true },
  {
    name: 'a persistent writable layer',
    at: '{data}/writable/{name}/upper/planted',
    more: 'writable: persistent\n',
    volumes: true,
  },
  {
    name: 'a persistent writable layer itself',
    at: '{data}/writable/{name}/upper',
    covers: true,
    more: 'writable: persistent\n',
    volumes: true,
  },
  {
    name: 'a volume',
    at: '{data}/volumes/kept/planted',
    more: 'mounts: [{ type: volume, source: kept, destination: /data }]\n',
    volumes: true,
  },
  {
    name: 'a volume itself',
    at: '{data}/volumes/kept',
    covers: true,
    more: 'mounts: [{ type: volume, source: kept, destination: /data }]\n',
    volumes: true,
  },
];

describe.skipIf(!requireSystem())('removal', () => {
  it.each(PLACES)('leaves a folder alone that is bound into $name', async (place) => {
    const host = await createTestHost();
    try {
      await expectLeftAlone(host, place);
    } finally {
      await host.destroy();
    }
  });
});

async function expectLeftAlone(host: TestHost, { at, covers, more, volumes }: Place): Promise<void> {
  const name = host.name('kept');
  const rootfs = await makeRootfs(host, 'base', ['/bin/sleep']);
  fs.mkdirSync(path.join(rootfs, 'mnt'));
  const precious = await makePrecious(host);
  const look = (): readonly string[] => listFiles(`/proc/${host.pid}/root`, precious, []);
  const file = host.write(
    'kept.yaml',
    `runspec: 1\nname: ${name}\nrootfs: { directory: ${rootfs} }\nprocess: { args: [/bin/sleep, "99"], stopTimeout: 10ms }\n${more ?? ''}`,
  );
  const down = ['--quiet', 'down', name, ...(volumes === true ? ['--volumes'] : [])];
  const before = await host.snapshot();
  const kept = look();

  expect(await host.runspec('--quiet', 'apply', file)).toMatchObject({ status: 0 });
  const target = at
    .replace('{upper}', () => upperOf(host, name))
    .replace('{state}', host.stateDir)
    .replace('{data}', host.dataDir)
    .replaceAll('{name}', name);
  if (covers === undefined) await host.output(['mkdir', '-p', target]);
  await host.output(['mount', '--bind', precious, target]);
  for (const moment of [60, 90, 120, 150]) {
    await killAfter(await host.start([process.execPath, CLI, ...down]), moment);
    expect(look()).toEqual(kept);
  }
  // The second time nothing is left to do but what was in the way.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const { status, stderr } = await host.runspec(...down);
    expect(look()).toEqual(kept);
    expect(status).toBe(1);
    expect(stderr).toContain(target);
    expect(stderr).toMatch(/hint: .*(umount|unmount)/);
  }

  await host.output(['umount', target]);
  // The folder that was made for the mount is the test's own.
  if (covers === undefined)
    await host.output(['sh', '-c', 'if [ -d "$1" ]; then rmdir "$1"; fi', 'sh', target]);
  expect(await host.runspec(...down)).toMatchObject({ status: 0 });
  expect(look()).toEqual(kept);
  expect(await host.settledDiff(before)).toEqual([]);
}

/** Of an ephemeral container: named after what it lies over. */
function upperOf(host: TestHost, name: string): string {
  const folder = path.join(host.dataDir, 'containers', name, 'writable');
  const upper = fs.readdirSync(folder).find((entry) => entry.startsWith('upper-'));
  if (upper === undefined) throw new Error(`no writable layer in ${folder}`);
  return path.join(folder, upper);
}

/** With the names of files that runspec and runtimes make, and so delete. */
async function makePrecious(host: TestHost): Promise<string> {
  const names = ['config.json', 'container.pid', 'process.json', 'resolv.conf', 'hosts', 'hostname'];
  for (const name of [
    ...names,
    'exit',
    'ctl',
    'log',
    'deep/er/one',
    'upper/two',
    'work/three',
    'etc/hosts',
    'bundle/ctl',
  ])
    host.write(`precious/${name}`, name);
  const precious = path.join(host.folder, 'precious');
  fs.symlinkSync('/etc/passwd', path.join(precious, 'link'));
  return precious;
}

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

async function killAfter(started: Started, milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  try {
    started.kill('SIGKILL');
  } catch (error) {
    // It was through already.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
  await started.ended;
}
