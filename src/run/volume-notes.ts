// Notes that tell whose a volume is. After a plain `down` no plan tells it; a small file beside the volumes, named
// after the container, does, and a folder of marks there while an apply makes volumes.
import { posix } from 'node:path';
import type { Step } from '../plan/plan.ts';
import type { Session } from './session.ts';

export type Places = Pick<Session, 'host' | 'dataDir'>;

/** Names of the steps' volumes, which a `down` without --volumes leaves. */
export function volumesIn({ dataDir }: Pick<Places, 'dataDir'>, steps: readonly Step[]): readonly string[] {
  const folder = `${dataDir}/volumes/`;
  const paths = steps.flatMap((step) =>
    step.op === 'directory' && step.removal === 'volume' ? [step.path] : [],
  );
  return paths.flatMap((path) => (path.startsWith(folder) ? [path.slice(folder.length)] : []));
}

/** The container's note. A volume's name never begins with a dot. */
function ownerFile({ dataDir }: Pick<Places, 'dataDir'>, container: string): string {
  return `${dataDir}/volumes/.${container}`;
}

/**
 * The folder with a mark for each volume that an apply is making: the mark tells whose the volume is when a kill has
 * ended the apply and its record gets lost.
 */
function beginningsOf({ dataDir }: Pick<Places, 'dataDir'>, container: string): string {
  return `${dataDir}/volumes/.${container}.new`;
}

/** Marks a volume before it is made. A marked volume goes with its content when no record of the container is left. */
export async function noteBeginning(places: Places, container: string, path: string): Promise<void> {
  const folder = beginningsOf(places, container);
  await places.host.makeDirectory(folder, { mode: 0o700 });
  await places.host.makeDirectory(`${folder}/${posix.basename(path)}`, { mode: 0o700 });
}

/** Names of the volumes that an apply was making. */
export async function listBegun(places: Places, container: string): Promise<readonly string[]> {
  return (await places.host.list(beginningsOf(places, container))) ?? [];
}

/** Removes the marks, when the apply is done or is being undone by its record. */
export async function forgetBeginnings(places: Places, container: string): Promise<void> {
  await places.host.removeTree(beginningsOf(places, container));
}

/**
 * Notes which volumes are the container's, so that this is known even when its record is lost.
 * @returns `undo`, which removes the note if it is new. In an older note a volume too many does no harm once it is
 *   gone.
 */
export async function noteVolumes(
  places: Places,
  container: string,
  steps: readonly Step[],
): Promise<{ undo(): Promise<void> }> {
  const { host, dataDir } = places;
  const asked = volumesIn(places, steps);
  const found = await Promise.all(asked.map((name) => host.status(`${dataDir}/volumes/${name}`)));
  const used = asked.filter((_, index) => found[index] !== undefined);
  const known = used.length === 0 ? [] : await readNote(places, container);
  const volumes = [...new Set([...known, ...used])].toSorted();
  const file = ownerFile(places, container);
  if (volumes.length !== known.length) await writeNote(places, container, volumes);
  if (asked.length > 0) await forgetBeginnings(places, container);
  return {
    async undo() {
      if (used.length > 0 && known.length === 0) await host.removeFile(file);
    },
  };
}

/** Whether noteVolumes would change nothing. */
export async function areVolumesNoted(
  places: Places,
  container: string,
  steps: readonly Step[],
): Promise<boolean> {
  const asked = volumesIn(places, steps);
  if (asked.length === 0) return true;
  if ((await places.host.status(beginningsOf(places, container))) !== undefined) return false;
  const known = await readNote(places, container);
  return asked.every((name) => known.includes(name));
}

/** Names of the volumes that are noted as the container's. */
export async function readNote(places: Places, container: string): Promise<readonly string[]> {
  const text = (await places.host.readText(ownerFile(places, container))) ?? '';
  return text.split('\n').filter((name) => /^[A-Za-z0-9][\w.-]*$/.test(name));
}

export async function rewriteNote(
  places: Places,
  container: string,
  volumes: readonly string[],
): Promise<void> {
  if (volumes.length === 0) return removeNote(places, container);
  await writeNote(places, container, volumes);
}

async function writeNote(places: Places, container: string, volumes: readonly string[]): Promise<void> {
  await places.host.writeAtomic(ownerFile(places, container), `${volumes.join('\n')}\n`, { mode: 0o600 });
}

export async function removeNote(places: Places, container: string): Promise<void> {
  await places.host.removeFile(ownerFile(places, container));
}

/** Paths of the volumes that containers, up or down, had when they were applied. */
export async function notedVolumes(places: Places): Promise<ReadonlySet<string>> {
  const owners = await noteOwners(places);
  const noted = await Promise.all(owners.map((owner) => readNote(places, owner)));
  return new Set(noted.flat().map((name) => `${places.dataDir}/volumes/${name}`));
}

/** A container that is not in `except` and whose note has the volume. */
export async function findNoteOwner(
  places: Places,
  path: string,
  except: readonly string[],
): Promise<string | undefined> {
  for (const owner of await noteOwners(places)) {
    if (except.includes(owner)) continue;
    const volumes = await readNote(places, owner);
    if (volumes.some((name) => path === `${places.dataDir}/volumes/${name}`)) return owner;
  }
  return undefined;
}

export async function noteOwners({ host, dataDir }: Places): Promise<readonly string[]> {
  const names = (await host.list(`${dataDir}/volumes`)) ?? [];
  return names.filter((name) => /^\.[^.]+$/.test(name)).map((name) => name.slice(1));
}
