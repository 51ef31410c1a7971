// Freezing a container's processes while its files are read. As runspec may be killed meanwhile, a small process thaws
// them, which waits for the end of a pipe that only this runspec has open. A cgroup that is frozen without such a
// guard, as by a `down` that was killed, is found and thawed here too.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { MountState } from '../host/kernel-view.ts';
import { listPids } from '../host/proc-files.ts';
import { cgroupFolders, listProcesses, writeIfThere } from './cgroup-processes.ts';
import { readProcFile, waitUntil } from './proc.ts';

/** Limit for freezing: storage that does not answer can keep a process from stopping. */
const PATIENCE_MS = 10_000;

/** Script of the guard: waits for the end of its input, however it comes, and then writes $1 to the file $2. */
const THAW = 'cat >/dev/null; printf %s "$1" >"$2"';

export interface FreezerState {
  readonly file: string;
  readonly frozen: string;
  readonly thawed: string;
}

interface Freezer extends FreezerState {
  isFrozen(): Promise<boolean>;
}

/** Runs `task` while the cgroup is frozen; without freezing it when no process is in it. */
export async function whileFrozen<T>(
  host: Host,
  mounts: readonly MountState[],
  cgroup: string,
  task: () => Promise<T>,
): Promise<T> {
  const folders = cgroupFolders(mounts, cgroup);
  if ((await listProcesses(host, folders)).length === 0) return task();
  const freezer = await findFreezer(host, mounts, cgroup);
  const guard = host.spawn(['sh', '-c', THAW, 'sh', freezer.thawed, freezer.file], {
    stdio: ['pipe', 'null', 'null'],
    // A signal to runspec's process group must not reach the guard.
    detached: true,
  });
  const pipe = guard.pipe(0);
  try {
    await host.writeInPlace(freezer.file, freezer.frozen);
    if (!(await waitUntil(host, PATIENCE_MS, () => freezer.isFrozen()))) {
      throw new OperationError(`the processes of ${cgroup} cannot be paused`, {
        hint: 'one of them may wait for a disk or a network file system that does not answer',
      });
    }
    return await task();
  } finally {
    pipe.end();
    const { status } = await guard.exited;
    if (status !== 0) await host.writeInPlace(freezer.file, freezer.thawed);
  }
}

/** Freezers that are set on the cgroup itself, not on those around it, and are not guarded by a `commit` at work. */
export async function findFrozen(
  host: Host,
  mounts: readonly MountState[],
  cgroup: string,
): Promise<readonly FreezerState[]> {
  const frozen = await findSet(host, mounts, cgroup);
  return frozen.length === 0 ? [] : withoutGuarded(host, frozen);
}

/** Freezers that hold it still, whoever has set them, be they of a cgroup around it. */
export async function findHolding(
  host: Host,
  mounts: readonly MountState[],
  cgroup: string,
): Promise<readonly FreezerState[]> {
  const found: FreezerState[] = [];
  for (let path = cgroup; path !== ''; path = path.slice(0, path.lastIndexOf('/')))
    found.push(...(await findSet(host, mounts, path)));
  return found;
}

/** Those that nobody sees to, as the guard of a `commit` does. */
export async function withoutGuarded(
  host: Host,
  frozen: readonly FreezerState[],
): Promise<readonly FreezerState[]> {
  const guarded = await listGuarded(host);
  return frozen.filter(({ file }) => !guarded.has(file));
}

/** Of the cgroup itself. */
async function findSet(
  host: Host,
  mounts: readonly MountState[],
  cgroup: string,
): Promise<readonly FreezerState[]> {
  const frozen: FreezerState[] = [];
  const isSet = async (file: string): Promise<boolean> => (await readProcFile(host, file))?.trim() === '1';
  for (const { version, controllers, folder } of cgroupFolders(mounts, cgroup)) {
    if (version === 2) {
      const file = `${folder}/cgroup.freeze`;
      if (await isSet(file)) frozen.push({ file, frozen: '1', thawed: '0' });
    } else if (controllers.includes('freezer') && (await isSet(`${folder}/freezer.self_freezing`)))
      frozen.push({ file: `${folder}/freezer.state`, frozen: 'FROZEN', thawed: 'THAWED' });
  }
  return frozen;
}

/** Thaws a cgroup, no matter who has frozen it. */
export async function thaw(host: Host, frozen: readonly FreezerState[]): Promise<void> {
  for (const { file, thawed } of frozen) await writeIfThere(host, file, thawed);
}

/** Files that a guard will write to. */
async function listGuarded(host: Host): Promise<ReadonlySet<string>> {
  const files = new Set<string>();
  for (const pid of await listPids(host)) {
    const argv = ((await readProcFile(host, `/proc/${pid}/cmdline`)) ?? '').split('\0');
    const [file] = argv[2] === THAW ? argv.slice(5) : [];
    if (file !== undefined) files.add(file);
  }
  return files;
}

async function findFreezer(host: Host, mounts: readonly MountState[], cgroup: string): Promise<Freezer> {
  for (const { version, controllers, folder } of cgroupFolders(mounts, cgroup)) {
    if (version === 1 && controllers.includes('freezer')) {
      const file = `${folder}/freezer.state`;
      const isFrozen = async (): Promise<boolean> => (await host.readText(file))?.trim() === 'FROZEN';
      if ((await host.status(file)) !== undefined)
        return { file, frozen: 'FROZEN', thawed: 'THAWED', isFrozen };
    }
    const file = `${folder}/cgroup.freeze`;
    if (version === 2 && (await listProcesses(host, [{ version, controllers, folder }])).length > 0) {
      const isFrozen = async (): Promise<boolean> =>
        /^frozen 1$/m.test((await host.readText(`${folder}/cgroup.events`)) ?? '');
      return { file, frozen: '1', thawed: '0', isFrozen };
    }
  }
  throw new OperationError(`this host has no way to pause the processes of ${cgroup}`, {
    hint: 'end them first, or give --no-pause',
  });
}
