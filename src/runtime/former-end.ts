// How a process has ended is asked for long after. When its place is needed for another start that may fail, what
// tells of it is laid aside, and brought back on the way back.
import type { Host } from '../host/host.ts';
import { RECORD_FILES, RECORD_FOLDERS } from '../plan/container-folder.ts';

const FILES = [RECORD_FILES.process, RECORD_FILES.exit, RECORD_FILES.oom];

/** Renames, as the time of the exit status is that of its file. */
export async function layEndAside(host: Host, records: string): Promise<void> {
  const aside = folderOf(records);
  await host.makeDirectory(aside, { mode: 0o700 });
  await move(host, records, aside);
}

/** Nothing to do when nothing is laid aside. */
export async function bringEndBack(host: Host, records: string): Promise<void> {
  await move(host, folderOf(records), records);
  await host.removeTree(folderOf(records));
}

/** For one that runs again. */
export async function forgetEnd(host: Host, records: string): Promise<void> {
  await host.removeTree(folderOf(records));
}

function folderOf(records: string): string {
  return `${records}/${RECORD_FOLDERS.ended}`;
}

async function move(host: Host, from: string, to: string): Promise<void> {
  for (const name of FILES) {
    if ((await host.status(`${from}/${name}`))?.type === 'file')
      await host.rename(`${from}/${name}`, `${to}/${name}`);
  }
}
