// Taking a network namespace away that processes are in: they are waited for, and nobody else is looked at again and again.
import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { netns } from '../../src/ops/netns.ts';
import { createFakeOps, type FakeOps } from './fake-context.ts';
import { stepOf, STEPS } from './steps.ts';

const NAME = '/run/netns/runspec-web';

interface Scene {
  readonly ops: FakeOps;
  readonly host: Host;
  /** Folders of descriptors that were listed. */
  readonly looks: string[];
}

/** Process 41 is in the namespace until `stays` milliseconds are over; 42 has files open, and nothing to do with it. */
async function hold(stays: number): Promise<Scene> {
  const ops = createFakeOps();
  for (const kind of ['netns-folder', 'netns'] as const) await ops.apply(stepOf(kind));
  const { files } = ops.machine;
  for (const pid of [41, 42]) {
    for (const folder of ['', '/ns', '/fd']) files.makeDirectory(`/proc/${pid}${folder}`);
    files.makeSymlink('/dev/null', `/proc/${pid}/fd/0`);
    files.put(`/proc/${pid}/comm`, `process${pid}\n`);
  }
  files.makeSymlink(`net:[${files.find(NAME)?.inode}]`, '/proc/41/ns/net');
  const { host } = ops.context();
  const looks: string[] = [];
  let waited = 0;
  return {
    ops,
    looks,
    host: {
      ...host,
      list: (folder) => {
        if (folder.endsWith('/fd')) looks.push(folder);
        return host.list(folder);
      },
      sleep: (milliseconds) => {
        waited += milliseconds;
        if (waited >= stays) files.remove('/proc/41/ns/net');
        return host.sleep(milliseconds);
      },
    },
  };
}

const revert = ({ ops, host }: Scene) =>
  netns.revert({ ...ops.context(), host }, STEPS.netns, {}, { volumes: false });

it('waits for a process that is about to leave, and looks once more at all when it has', async () => {
  const scene = await hold(500);
  expect(await revert(scene)).toEqual({ outcome: 'removed' });
  expect(scene.looks.filter((folder) => folder === '/proc/42/fd')).toHaveLength(2);
});

it('names a process that stays, and has looked at what others have open only once', async () => {
  const scene = await hold(Number.POSITIVE_INFINITY);
  await expect(revert(scene)).rejects.toThrow(
    `the network namespace ${NAME} is held by process41 (pid 41, it runs in it)`,
  );
  expect(scene.looks).toEqual(['/proc/42/fd']);
});
