// Before the system tier: switches on all controllers of cgroup v2 below its root. A host that finds one off switches it
// off again, and remembers that it has to for as long as containers of another host of ours need it: its files would
// differ from before. With one host at a time nothing is done, and they switch for themselves.
import fs from 'node:fs';
import path from 'node:path';
import type { TestProject } from 'vitest/node';

/** Where cgroups are all v2, and where v1 has some of the controllers. */
const ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
const SWITCH = 'cgroup.subtree_control';

export function setup({ config }: TestProject): (() => void) | undefined {
  const root = ROOTS.find((one) => fs.existsSync(path.join(one, SWITCH)));
  if (config.maxWorkers === 1 || root === undefined || process.getuid?.() !== 0) return undefined;
  const file = path.join(root, SWITCH);
  const on = words(file);
  const switched = words(path.join(root, 'cgroup.controllers'))
    .filter((controller) => !on.includes(controller))
    .filter((controller) => turn(file, `+${controller}`));
  return () => switched.forEach((controller) => turn(file, `-${controller}`));
}

function words(file: string): readonly string[] {
  return fs
    .readFileSync(file, 'utf8')
    .split(/\s/)
    .filter((word) => word !== '');
}

/** @returns false where the kernel does not want to: the tests get along without. */
function turn(file: string, change: string): boolean {
  try {
    fs.writeFileSync(file, change);
    return true;
  } catch {
    return false;
  }
}
