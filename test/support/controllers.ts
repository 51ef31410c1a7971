// Before the system tier, on a machine whose cgroups are all v2: switches on all controllers below the root. A host that
// finds one off switches it off again, and remembers that it has to for as long as containers of another host of ours
// need it: its files would differ from before. With one host at a time nothing is done, and they switch for themselves.
import fs from 'node:fs';
import path from 'node:path';
import type { TestProject } from 'vitest/node';

const ROOT = '/sys/fs/cgroup';
const SWITCH = path.join(ROOT, 'cgroup.subtree_control');

export function setup({ config }: TestProject): (() => void) | undefined {
  if (config.maxWorkers === 1 || !fs.existsSync(SWITCH) || process.getuid?.() !== 0) return undefined;
  const on = words(SWITCH);
  const switched = words(path.join(ROOT, 'cgroup.controllers'))
    .filter((controller) => !on.includes(controller))
    .filter((controller) => turn(`+${controller}`));
  return () => switched.forEach((controller) => turn(`-${controller}`));
}

function words(file: string): readonly string[] {
  return fs
    .readFileSync(file, 'utf8')
    .split(/\s/)
    .filter((word) => word !== '');
}

/** @returns false where the kernel does not want to: the tests get along without. */
function turn(change: string): boolean {
  try {
    fs.writeFileSync(SWITCH, change);
    return true;
  } catch {
    return false;
  }
}
