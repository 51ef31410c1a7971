// What outlives a container on purpose: its persistent writable layer and its volumes. After a plain `down`
// no plan tells of them any more; a small file beside the volumes, named after the container, does.
import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import { opOf } from '../ops/index.ts';
import type { Reverted } from '../ops/op.ts';
import type { DirectoryStep, FileStep, Step } from '../plan/plan.ts';
import { isName, recordedSteps } from './records.ts';
import { opContext, type Session } from './session.ts';

/** Volumes that the steps have; of those, the ones that a `down` without --volumes leaves. */
function volumesIn({ dataDir }: Pick<Session, 'dataDir'>, steps: readonly Step[]): readonly string[] {
  const folder = `${dataDir}/volumes/`;
  const paths = steps.flatMap((step) =>
    step.op === 'directory' && step.removal === 'volume' ? [step.path] : [],
  );
  return paths.flatMap((path) => (path.startsWith(folder) ? [path.slice(folder.length)] : []));
}

/** A volume's name never begins with a dot. */
function ownerFile({ dataDir }: Pick<Session, 'dataDir'>, container: string): string {
  return `${dataDir}/volumes/.${container}`;
}

/** A note that a kill has kept from getting into its place. */
const UNFINISHED = /^\.\.[^.]+\.runspec-new$/;

/** A folder with one for each volume that an apply makes: should a kill end it and its record get lost, this tells whose they are. */
function beginningsOf({ dataDir }: Pick<Session, 'dataDir'>, container: string): string {
  return `${dataDir}/volumes/.${container}.new`;
}

/** Ahead of making the volume: what is made for a container of which nobody knows goes, whatever is in it. */
export async function noteBeginning(
  places: Pick<Session, 'host' | 'dataDir'>,
  container: string,
  path: string,
): Promise<void> {
  const folder = beginningsOf(places, container);
  await places.host.makeDirectory(folder, { mode: 0o700 });
  await places.host.makeDirectory(`${folder}/${posix.basename(path)}`, { mode: 0o700 });
}

/** The apply is done, or is being undone by what its record says. */
export async function forgetBeginnings(
  places: Pick<Session, 'host' | 'dataDir'>,
  container: string,
): Promise<void> {
  await places.host.removeTree(beginningsOf(places, container));
}

/**
 * Notes which volumes are the container's, so that this is known whatever becomes of its record.
 * @returns `undo` takes a new note away again; a volume too many in one that was there does no harm once it is gone.
 */
export async function noteVolumes(
  places: Pick<Session, 'host' | 'dataDir'>,
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
  if (volumes.length !== known.length)
    await host.writeAtomic(file, `${volumes.join('\n')}\n`, { mode: 0o600 });
  if (asked.length > 0) await forgetBeginnings(places, container);
  return {
    async undo() {
      if (used.length > 0 && known.length === 0) await host.removeFile(file);
    },
  };
}

/** Whether that would change nothing. */
export async function areVolumesNoted(
  places: Pick<Session, 'host' | 'dataDir'>,
  container: string,
  steps: readonly Step[],
): Promise<boolean> {
  const asked = volumesIn(places, steps);
  if (asked.length === 0) return true;
  if ((await places.host.status(beginningsOf(places, container))) !== undefined) return false;
  const known = await readNote(places, container);
  return asked.every((name) => known.includes(name));
}

async function readNote(
  { host, dataDir }: Pick<Session, 'host' | 'dataDir'>,
  container: string,
): Promise<readonly string[]> {
  const text = (await host.readText(`${dataDir}/volumes/.${container}`)) ?? '';
  return text.split('\n').filter((name) => /^[A-Za-z0-9][\w.-]*$/.test(name));
}

/** Paths of the volumes that containers had when they were applied, be they up or down. */
export async function notedVolumes(places: Pick<Session, 'host' | 'dataDir'>): Promise<ReadonlySet<string>> {
  const owners = await noteOwners(places);
  const noted = await Promise.all(owners.map((owner) => readNote(places, owner)));
  return new Set(noted.flat().map((name) => `${places.dataDir}/volumes/${name}`));
}

/** A container, not one of `except`, that has or had the volume. */
export async function findNoteOwner(
  places: Pick<Session, 'host' | 'dataDir'>,
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

async function noteOwners({ host, dataDir }: Pick<Session, 'host' | 'dataDir'>): Promise<readonly string[]> {
  const names = (await host.list(`${dataDir}/volumes`)) ?? [];
  return names.filter((name) => /^\.[^.]+$/.test(name)).map((name) => name.slice(1));
}

/**
 * What containers that are not in `except` would have taken by a `down --volumes`, for people: volumes only that no other has.
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

/** Containers that have or had a persistent layer or volumes, be they up or down. */
export async function listOwners(places: Pick<Session, 'host' | 'dataDir'>): Promise<readonly string[]> {
  const layers = (await places.host.list(`${places.dataDir}/writable`)) ?? [];
  return [...new Set([...layers, ...(await noteOwners(places))])].filter(isName);
}

/** Removes the container's persistent layer and those of its volumes that no other container has. */
export async function removeKeptData(
  session: Session,
  container: string,
  together: readonly string[] = [],
): Promise<readonly string[]> {
  const { host, dataDir } = session;
  const removed: string[] = [];
  const layer = `${dataDir}/writable/${container}`;
  if ((await removeVolume(session, container, layer)).outcome === 'removed') removed.push(LAYER);
  const begun = (await host.list(beginningsOf(session, container))) ?? [];
  const noted = [...new Set([...(await readNote(session, container)), ...begun])];
  await forgetBeginnings(session, container);
  const others = noted.length === 0 ? new Set<string>() : await volumesOfOthers(session, container, together);
  for (const volume of noted) {
    if (others.has(volume)) continue;
    const { outcome } = await removeVolume(session, container, `${dataDir}/volumes/${volume}`);
    if (outcome === 'removed') removed.push(`volume ${volume}`);
  }
  await host.removeFile(ownerFile(session, container));
  // The folders of all such things go with the last one, as they do in a down with --volumes.
  const folders = [`${dataDir}/writable`, `${dataDir}/volumes`];
  for (const folder of folders)
    if ((await host.list(folder))?.length === 0) await host.removeDirectory(folder);
  // Not only of those just removed: a kill may have come before it was written down that others are gone.
  for (const step of session.shared.steps) {
    if (step.op !== 'directory' || !folders.some((folder) => `${step.path}/`.startsWith(`${folder}/`)))
      continue;
    if ((await host.status(step.path)) === undefined) await session.shared.forget(step.id);
  }
  return removed;
}

/**
 * Volumes that neither a note nor a record tells of, with nothing in them or begun by an apply whose record is lost: a kill
 * ended what made them. As steps that remove them.
 */
export async function findUnclaimedVolumes(session: Session): Promise<readonly (DirectoryStep | FileStep)[]> {
  const { host, dataDir, records } = session;
  const folder = `${dataDir}/volumes`;
  const names = (await host.list(folder)) ?? [];
  if (names.length === 0) return [];
  const [claimed, known] = await Promise.all([volumesOfOthers(session, ''), records.names()]);
  const lost = names.filter((name) => {
    const [, container] = /^\.([^.]+)\.new$/.exec(name) ?? [];
    return container !== undefined && !known.includes(container);
  });
  const unfinished = names.filter((name) => UNFINISHED.test(name));
  const begun = (await Promise.all(lost.map((name) => host.list(`${folder}/${name}`)))).flatMap(
    (one) => one ?? [],
  );
  const unclaimed = names.filter((name) => !name.startsWith('.') && !claimed.has(name));
  const areEmpty = await Promise.all(unclaimed.map((name) => isEmptyFolder(host, `${folder}/${name}`)));
  const going = unclaimed.filter((name, index) => areEmpty[index] === true || begun.includes(name));
  const step = (
    id: string,
    path: string,
    removal: DirectoryStep['removal'],
    needs: readonly string[],
  ): DirectoryStep => ({ id, op: 'directory', path, mode: 0o700, removal, needs, after: [], shared: true });
  const below = (id: string, name: string): DirectoryStep =>
    step(id, `${folder}/${name}`, begun.includes(name) || lost.includes(name) ? 'tree' : 'empty', [
      'dir:volumes',
    ]);
  return [
    ...(going.length + lost.length + unfinished.length === names.length
      ? [step('dir:volumes', folder, 'empty', [])]
      : []),
    ...lost.map((name) => below(`beginnings:${name}`, name)),
    ...unfinished.map((name) => noteStep(`${folder}/${name}`)),
    ...going.map((name) => below(`volume:${name}`, name)),
  ];
}

function noteStep(path: string): FileStep {
  const edges = { needs: ['dir:volumes'], after: [], shared: true } as const;
  return { id: `file:${path}`, op: 'file', path, text: '', mode: 0o600, inPlace: false, ...edges };
}

async function isEmptyFolder(host: Host, path: string): Promise<boolean> {
  return (await host.status(path))?.type === 'directory' && (await host.list(path))?.length === 0;
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

/** `together`: what those had is nobody's, unless they are still up. */
async function volumesOfOthers(
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
