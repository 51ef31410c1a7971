// The files that tell how a process ended, which people ask for long after. A new start needs their place, and its apply
// may fail: so they are laid aside before it, and brought back by the rollback. They are forgotten with the pending plan,
// so that after a kill the next apply or `down` removes them.
import type { Host } from '../host/host.ts';
import { RECORD_FILES, RECORD_FOLDERS } from '../plan/container-folder.ts';
import { readContainerState } from './container-state.ts';
import { readProcessFile, writeProcessFile } from './process-file.ts';

/**
 * Lays the files aside, except that a copy of process.json stays: what is left of the process in the kernel is found by
 * it. The exit status is renamed, which keeps its time: that of its file. It goes last, so that a failure loses nothing.
 */
export async function layEndAside(host: Host, records: string): Promise<void> {
  await removeAside(host, records);
  const state = await readContainerState(host, records);
  const known = await readProcessFile(host, records);
  if (state.status !== 'exited' || known === undefined) return;
  const aside = folderOf(records);
  await host.makeDirectory(aside, { mode: 0o700 });
  // The kernel's count of OOM kills goes on with the next process, so what it tells of this one is settled here.
  const { oom: _, ...settled } = known;
  if (state.oom) await host.writeAtomic(`${aside}/${RECORD_FILES.oom}`, '', { mode: 0o600 });
  await writeProcessFile(host, aside, settled);
  await move(host, RECORD_FILES.exit, records, aside);
}

/** Whether it is known of the process that it had ended before the apply that is going on, or that a kill cut short. */
export async function isEndAside(host: Host, records: string): Promise<boolean> {
  return (await host.status(`${folderOf(records)}/${RECORD_FILES.process}`)) !== undefined;
}

/** Brings back the files, if any are laid aside, unless there is a process that could not be ended. */
export async function bringEndBack(host: Host, records: string): Promise<void> {
  const { status } = await readContainerState(host, records);
  if (status === 'running' || status === 'ending') return;
  for (const name of [RECORD_FILES.exit, RECORD_FILES.oom, RECORD_FILES.process])
    await move(host, name, folderOf(records), records);
  await removeAside(host, records);
}

/** Removes the files laid aside, if there are any. */
export async function removeAside(host: Host, records: string): Promise<void> {
  if ((await host.status(folderOf(records))) !== undefined) await host.removeTree(folderOf(records));
}

function folderOf(records: string): string {
  return `${records}/${RECORD_FOLDERS.ended}`;
}

async function move(host: Host, name: string, from: string, to: string): Promise<void> {
  if ((await host.status(`${from}/${name}`))?.type === 'file')
    await host.rename(`${from}/${name}`, `${to}/${name}`);
}
