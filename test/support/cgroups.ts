// The cgroups of test hosts, which are the machine's: found by the prefix in their names, and removed.
import fs from 'node:fs';
import path from 'node:path';

const ROOT = '/sys/fs/cgroup';

/** Cgroup folders below a folder `runspec` whose path has a component that begins with `prefix`. */
export function findCgroups(prefix: string): readonly string[] {
  return hierarchies().flatMap((hierarchy) => {
    const parent = path.join(hierarchy, 'runspec');
    return names(parent)
      .filter((name) => name === prefix || name.startsWith(`${prefix}-`))
      .flatMap((name) => below(path.join(parent, name)));
  });
}

export function removeCgroups(prefix: string, what: 'thaw' | 'remove'): void {
  const found = findCgroups(prefix);
  if (what === 'thaw') {
    for (const folder of found) writeIfThere(path.join(folder, 'freezer.state'), 'THAWED');
    for (const folder of found) writeIfThere(path.join(folder, 'cgroup.freeze'), '0');
    return;
  }
  // Deepest first.
  for (const folder of found.toReversed()) removeIfEmpty(folder);
  for (const hierarchy of hierarchies()) removeIfEmpty(path.join(hierarchy, 'runspec'));
}

/** Takes away empty cgroups of test runs whose process is gone: killed runs leave them behind. */
export function sweepCgroups(): void {
  for (const hierarchy of hierarchies()) {
    for (const name of names(path.join(hierarchy, 'runspec'))) {
      const pid = /^t([0-9a-z]+)-\d+-/.exec(name)?.[1];
      if (pid === undefined || fs.existsSync(`/proc/${Number.parseInt(pid, 36)}`)) continue;
      for (const folder of below(path.join(hierarchy, 'runspec', name)).toReversed()) removeIfEmpty(folder);
    }
  }
}

/** Mount points of hierarchies: the root itself with cgroup v2 alone, else the folders in it. */
function hierarchies(): readonly string[] {
  if (fs.existsSync(path.join(ROOT, 'cgroup.procs'))) return [ROOT];
  const found = names(ROOT).map((name) => path.join(ROOT, name));
  // `cpu` is often a symlink to `cpu,cpuacct`: once is enough.
  return found.filter((folder) => fs.lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true);
}

function below(folder: string): readonly string[] {
  return [folder, ...names(folder).flatMap((name) => below(path.join(folder, name)))];
}

function names(folder: string): readonly string[] {
  try {
    return fs
      .readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    ignore(error, 'ENOENT', 'ENODEV');
    return [];
  }
}

function writeIfThere(file: string, text: string): void {
  try {
    if (fs.existsSync(file)) fs.writeFileSync(file, text);
  } catch (error) {
    ignore(error, 'ENOENT', 'ENODEV');
  }
}

function removeIfEmpty(folder: string): void {
  try {
    fs.rmdirSync(folder);
  } catch (error) {
    ignore(error, 'ENOENT', 'EBUSY', 'ENOTEMPTY');
  }
}

function ignore(error: unknown, ...codes: readonly string[]): void {
  if (!(error instanceof Error && 'code' in error && codes.includes(String(error.code)))) throw error;
}
