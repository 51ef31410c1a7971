// Names of everything that runspec keeps in a container's folder, <data-dir>/containers/NAME. They are spelled
// nowhere else: by them a folder is known to be runspec's when none of its records can be read.

/** Records: each is written beside its place and renamed; an unreadable one is set aside. */
export const RECORD_FILES = {
  applied: 'plan.json',
  pending: 'pending.json',
  spec: 'spec.json',
  process: 'process.json',
  /** Snapshot of the host before the first effect, for `down --prove`. */
  before: 'before.json',
  /** Exit status of the process, written by conmon or `run`, and a mark that the kernel's OOM killer ended it. */
  exit: 'exit',
  oom: 'oom',
} as const;

/** Files that are only appended to. */
export const GROWING_FILES = { journal: 'journal.jsonl', log: 'log' } as const;

export const RECORD_FOLDERS = {
  bundle: 'bundle',
  etc: 'etc',
  mountpoints: 'mountpoints',
  /** The same of an update, while it is found out whether it can be carried out. */
  trial: 'trial',
  writable: 'writable',
  /** Records of how the former process ended, kept until the apply that starts it again is through. */
  ended: 'ended',
} as const;

/** Suffix of a record that cannot be read and was set aside. */
export const SET_ASIDE = '.unreadable';

export function containerFolder(dataDir: string, name: string): string {
  return `${dataDir}/containers/${name}`;
}
