// Who holds a mount or a namespace, beside processes at work so deep in a tree that the kernel tells no path of it.
import { expect, it } from 'vitest';
import { describeHolders, findMountUsers, findNamespaceHolders } from '../../src/host/holders.ts';
import type { FileStatus, Host } from '../../src/host/host.ts';
import { createFixtureHost } from './fixture-host.ts';

const MOUNTS = `22 1 254:1 / / rw - ext4 /dev/vda1 rw
40 22 0:300 / /run/web rw - overlay overlay rw
41 22 0:50 / /srv rw - tmpfs tmpfs rw
`;
/** As gnu_dev_makedev(3) puts 0:300 together. */
const OVERLAY = 0x10002c;
const TMPFS = 50;

/** Process 41 is `deep` on a file system; all else is at its place. */
function hostWith(deep: string, device: number): Host {
  const link = `/proc/41/${deep}`;
  const links = { '/proc/41/cwd': '/', '/proc/41/ns/net': 'net:[1]', '/proc/41/fd/3': '/dev/null' };
  const files = { '/proc/41/comm': 'sh\n', '/proc/41/mountinfo': MOUNTS };
  const known = createFixtureHost({ files, links });
  const fail = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
  return {
    ...known,
    readLink: (path) => {
      if (path === link) return fail('ENAMETOOLONG');
      return path in links ? known.readLink(path) : fail('ENOENT');
    },
    statusOfTarget: (path) => Promise.resolve(path === link ? ({ device } as FileStatus) : undefined),
  };
}

it.each([
  ['cwd', 'sh (pid 41, its working folder)'],
  ['fd/3', 'sh (pid 41, open far below /run/web)'],
])('finds a process whose %s is too deep in the mount to have a path', async (deep, holders) => {
  expect(describeHolders(await findMountUsers(hostWith(deep, OVERLAY), '/run/web'))).toBe(holders);
});

it('takes nobody for a user of the mount who is deep in another', async () => {
  expect(await findMountUsers(hostWith('fd/3', TMPFS), '/run/web')).toEqual([]);
});

it('is not stopped by such a process where the holders of a network namespace are looked for', async () => {
  expect(await findNamespaceHolders(hostWith('fd/3', TMPFS), '/run/netns/web')).toEqual([]);
});
