// What runspec keeps of a container in <data-dir>/containers/NAME (DESIGN section 5). Each thing is named here and nowhere
// else: by these names such a folder is known for runspec's own when no record in it can be read any more.

/** Files, each written beside its place and renamed; an unreadable one is set aside. */
export const RECORD_FILES = {
  applied: 'plan.json',
  pending: 'pending.json',
  spec: 'spec.json',
  process: 'process.json',
  /** The host before the first effect, for `--prove`. */
  before: 'before.json',
  /** conmon's and `run`'s: the exit status, and a mark when the kernel's OOM killer ended the process. */
  exit: 'exit',
  oom: 'oom',
} as const;

/** Files that are written to at their ends. */
export const GROWING_FILES = { journal: 'journal.jsonl', log: 'log' } as const;

export const RECORD_FOLDERS = {
  bundle: 'bundle',
  etc: 'etc',
  mountpoints: 'mountpoints',
  writable: 'writable',
  /** What tells how the process ended, while a start of it is tried again. */
  ended: 'ended',
} as const;

/** Ends the name of a record that cannot be read. */
export const SET_ASIDE = '.unreadable';

export function containerFolder(dataDir: string, name: string): string {
  return `${dataDir}/containers/${name}`;
}
