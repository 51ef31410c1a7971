// What outlives a container on purpose: its persistent writable layer and its volumes. After a plain `down`
// no plan tells of them any more; a small file beside the volumes, named after the container, does.
import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import { opOf } from '../ops/index.ts';
import type { Reverted } from '../ops/op.ts';
import type { DirectoryStep, Step } from '../plan/plan.ts';
import { isName, recordedSteps } from './records.ts';
import { opContext, type Session } from './session.ts';

/** Volumes that the steps have; of those, the ones that a `down` without --volumes leaves. */
function volumesIn(session: Session, steps: readonly Step[]): readonly string[] {
  const folder = `${session.dataDir}/volumes/`;
  const paths = steps.flatMap((step) =>
    step.op === 'directory' && step.removal === 'volume' ? [step.path] : [],
  );
  return paths.flatMap((path) => (path.startsWith(folder) ? [path.slice(folder.length)] : []));
}

/** A volume's name never begins with a dot. */
function ownerFile(session: Session, container: string): string {
  return `${session.dataDir}/volumes/.${container}`;
}

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

/** Notes which volumes are the container's, before the plan that tells of them goes. */
export async function noteVolumes(
  session: Session,
  container: string,
  steps: readonly Step[],
): Promise<void> {
  const { host, dataDir } = session;
  const asked = volumesIn(session, steps);
  if (asked.length > 0) await forgetBeginnings(session, container);
  const found = await Promise.all(asked.map((name) => host.status(`${dataDir}/volumes/${name}`)));
  const used = asked.filter((_, index) => found[index] !== undefined);
  if (used.length === 0) return;
  const known = await readNote(session, container);
  const volumes = [...new Set([...known, ...used])].toSorted();
  if (volumes.length === known.length) return;
  await host.writeAtomic(ownerFile(session, container), `${volumes.join('\n')}\n`, { mode: 0o600 });
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

/** Of containers that have something which outlives them, be they up or down: what it is, for people. */
export async function listKept(
  places: Pick<Session, 'host' | 'dataDir'>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const layers = ((await places.host.list(`${places.dataDir}/writable`)) ?? []).filter(isName);
  const kept = new Map<string, string[]>(layers.map((container) => [container, [LAYER]]));
  for (const container of (await noteOwners(places)).filter(isName)) {
    const volumes = (await readNote(places, container)).map((name) => `volume ${name}`);
    kept.set(container, [...(kept.get(container) ?? []), ...volumes]);
  }
  return kept;
}

const LAYER = 'its writable layer';

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
    await session.shared.forget(`volume:${volume}`);
  }
  await host.removeFile(ownerFile(session, container));
  // The folders of all such things go with the last one, as they do in a down with --volumes.
  for (const [folder, id] of [
    [`${dataDir}/writable`, 'dir:writables'],
    [`${dataDir}/volumes`, 'dir:volumes'],
  ] as const) {
    if ((await host.list(folder))?.length !== 0) continue;
    await host.removeDirectory(folder);
    await session.shared.forget(id);
  }
  return removed;
}

/**
 * Volumes that neither a note nor a record tells of, with nothing in them or begun by an apply whose record is lost: a kill
 * ended what made them. As steps that remove them.
 */
export async function findUnclaimedVolumes(session: Session): Promise<readonly DirectoryStep[]> {
  const { host, dataDir, records } = session;
  const folder = `${dataDir}/volumes`;
  const names = (await host.list(folder)) ?? [];
  if (names.length === 0) return [];
  const [claimed, known] = await Promise.all([volumesOfOthers(session, ''), records.names()]);
  const lost = names.filter((name) => {
    const [, container] = /^\.([^.]+)\.new$/.exec(name) ?? [];
    return container !== undefined && !known.includes(container);
  });
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
    ...(going.length + lost.length === names.length ? [step('dir:volumes', folder, 'empty', [])] : []),
    ...lost.map((name) => below(`beginnings:${name}`, name)),
    ...going.map((name) => below(`volume:${name}`, name)),
  ];
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
  session: Session,
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
