// The files that tell how a process ended, which people ask for long after. A new start needs their place, and may
// fail: so they are laid aside before it, and brought back by a rollback.
import type { Host } from '../host/host.ts';
import { RECORD_FILES, RECORD_FOLDERS } from '../plan/container-folder.ts';

const FILES = [RECORD_FILES.process, RECORD_FILES.exit, RECORD_FILES.oom];

/** Lays the files aside by renaming them, which keeps the time of the exit status: that of its file. */
export async function layEndAside(host: Host, records: string): Promise<void> {
  const aside = folderOf(records);
  await host.makeDirectory(aside, { mode: 0o700 });
  await move(host, records, aside);
}

/** Brings back the files, if any are laid aside. */
export async function bringEndBack(host: Host, records: string): Promise<void> {
  await move(host, folderOf(records), records);
  await host.removeTree(folderOf(records));
}

/** Removes the files laid aside, once the process runs again. */
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
