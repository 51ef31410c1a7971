// A folder of a test host that no image, layer or volume may reach, and the machine's /dev beside it.
import fs from 'node:fs';
import path from 'node:path';
import { listFiles } from './snapshot-files.ts';
import type { TestHost } from './test-host.ts';

/** Names that runtimes and runspec create, replace or delete, so that one that goes wrong is seen. */
const NAMES =
  'ptmx fd stdin stdout stderr null core resolv.conf hosts hostname secret deep/ptmx pts/0 shm/x mqueue/x fs/cgroup/x';

export function makeSentinel(host: TestHost): string {
  for (const name of NAMES.split(' ')) host.write(`sentinel/${name}`, 'x');
  host.write('sentinel/passwd', 'intruder:x:4242:4242::/:/bin/sh\n');
  host.write('sentinel/group', 'intruders:x:4242:\n');
  const sentinel = path.join(host.folder, 'sentinel');
  // A program of the host: no container may run it.
  host.write('sentinel/program', '#!/bin/sh\necho ran\n');
  fs.chmodSync(path.join(sentinel, 'program'), 0o755);
  return sentinel;
}

/** What the machine could lose: the sentinel to the byte, and what is in /dev. */
export function listPrecious(host: TestHost, sentinel: string): readonly string[] {
  const devices = fs.readdirSync('/dev').map((name) => describeDevice(`/dev/${name}`));
  return [...listFiles(`/proc/${host.pid}/root`, sentinel, []), ...devices];
}

function describeDevice(file: string): string {
  const found = fs.lstatSync(file);
  const target = found.isSymbolicLink() ? fs.readlinkSync(file) : '';
  return `${file} ${found.mode} ${found.uid}:${found.gid} ${found.rdev} ${target}`;
}
