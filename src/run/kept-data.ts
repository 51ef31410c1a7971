// Data that outlives a container on purpose: its persistent writable layer and its volumes.
import { opOf } from '../ops/index.ts';
import type { Reverted } from '../ops/op.ts';
import type { DirectoryStep } from '../plan/plan.ts';
import { isName, recordedSteps } from './records.ts';
import { opContext, type Session } from './session.ts';
import {
  forgetBeginnings,
  listBegun,
  noteOwners,
  type Places,
  readNote,
  removeNote,
  rewriteNote,
  volumesIn,
} from './volume-notes.ts';

/**
 * Data that a `down --volumes` of each container not in `except` would remove, for people. A volume that another
 * container has too is left out.
 */
export async function listKept(
  session: Pick<Session, 'host' | 'dataDir' | 'records'>,
  except: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { host, dataDir } = session;
  const kept = new Map<string, readonly string[]>();
  const owners = await listOwners(session);
  for (const container of owners.filter((name) => !except.includes(name))) {
    const volumes = await readNote(session, container);
    const others =
      volumes.length === 0 ? new Set<string>() : await volumesOfOthers(session, container, owners);
    const found = await Promise.all(volumes.map((name) => host.status(`${dataDir}/volumes/${name}`)));
    const free = volumes.filter((name, index) => found[index] !== undefined && !others.has(name));
    const hasLayer = (await host.status(`${dataDir}/writable/${container}`)) !== undefined;
    const things = [...(hasLayer ? [LAYER] : []), ...free.map((name) => `volume ${name}`)];
    if (things.length > 0) kept.set(container, things);
  }
  return kept;
}

const LAYER = 'its writable layer';

/** Containers, up or down, that have or had a persistent layer or volumes. */
export async function listOwners(places: Places): Promise<readonly string[]> {
  const layers = (await places.host.list(`${places.dataDir}/writable`)) ?? [];
  return [...new Set([...layers, ...(await noteOwners(places))])].filter(isName);
}

/**
 * Removes the container's persistent layer and those of its volumes that no other container has.
 *
 * @returns what was removed, for people.
 */
export async function removeKeptData(
  session: Session,
  container: string,
  together: readonly string[] = [],
): Promise<readonly string[]> {
  const { dataDir } = session;
  const removed: string[] = [];
  const layer = `${dataDir}/writable/${container}`;
  if ((await removeVolume(session, container, layer)).outcome === 'removed') removed.push(LAYER);
  const begun = await listBegun(session, container);
  const noted = [...new Set([...(await readNote(session, container)), ...begun])];
  await forgetBeginnings(session, container);
  const others = noted.length === 0 ? new Set<string>() : await volumesOfOthers(session, container, together);
  for (const volume of noted) {
    if (others.has(volume)) continue;
    const { outcome } = await removeVolume(session, container, `${dataDir}/volumes/${volume}`);
    if (outcome === 'removed') removed.push(`volume ${volume}`);
  }
  await removeNote(session, container);
  await removeFolders(session);
  return removed;
}

/** Removes some of what is kept of a container: volumes that are no other's, or its layer. @param paths of them. */
export async function removeKeptThings(
  session: Session,
  container: string,
  paths: readonly string[],
): Promise<readonly string[]> {
  if (paths.length === 0) return [];
  const volumes = `${session.dataDir}/volumes/`;
  const noted = await readNote(session, container);
  const removed: string[] = [];
  for (const path of paths) {
    const { outcome } = await removeVolume(session, container, path);
    const thing = path.startsWith(volumes) ? `volume ${path.slice(volumes.length)}` : LAYER;
    if (outcome === 'removed') removed.push(thing);
  }
  const left = noted.filter((name) => !paths.includes(`${volumes}${name}`));
  await rewriteNote(session, container, left);
  await removeFolders(session);
  return removed;
}

async function removeFolders({ host, dataDir, shared }: Session): Promise<void> {
  // The folders of all such things go with the last one, as they do in a down with --volumes.
  const folders = [`${dataDir}/writable`, `${dataDir}/volumes`];
  for (const folder of folders)
    if ((await host.list(folder))?.length === 0) await host.removeDirectory(folder);
  // Not only of those just removed: a kill may have come before it was written down that others are gone.
  for (const step of shared.steps) {
    if (step.op !== 'directory' || !folders.some((folder) => `${step.path}/`.startsWith(`${folder}/`)))
      continue;
    if ((await host.status(step.path)) === undefined) await shared.forget(step.id);
  }
}

async function removeVolume(session: Session, container: string, path: string): Promise<Reverted> {
  const step: DirectoryStep = {
    id: 'dir:kept',
    op: 'directory',
    path,
    mode: 0o700,
    removal: 'volume',
    needs: [],
    after: [],
  };
  const context = opContext(session, container, () => undefined);
  return opOf(step).revert(context, step, {}, { volumes: true });
}

/**
 * Names of the volumes that other containers have or had. For the containers in `together` only their records count:
 * what they had earlier is nobody's.
 */
export async function volumesOfOthers(
  session: Pick<Session, 'host' | 'dataDir' | 'records'>,
  container: string,
  together: readonly string[] = [],
): Promise<ReadonlySet<string>> {
  const { records } = session;
  const owners = (await noteOwners(session)).filter((name) => name !== container && !together.includes(name));
  const found = await Promise.all(owners.map((owner) => readNote(session, owner)));
  for (const name of await records.names()) {
    const { record } = await records.look(name);
    if (name !== container && record !== undefined) found.push(volumesIn(session, recordedSteps(record)));
  }
  return new Set(found.flat());
}
