// Remains: objects on the host that no record tells of. They are found by the owners that the kernel names, and
// reverted by the ops that would have made them. Persistent data stays; things in use by others stay.
import type { OperationError } from '../errors.ts';
import { createKernelView } from '../host/kernel-view.ts';
import type { Step } from '../plan/plan.ts';
import { bridgeOf, findClaim, findDoubt, findForeignUser } from './claims.ts';
import { isSharedStep } from './check-record.ts';
import { findUnclaimedVolumes } from './unclaimed-volumes.ts';
import { takeInventory, takeSharedInventory } from './inventory.ts';
import { recordedSteps, type FoundRecord } from './records.ts';
import type { Reporter } from './report.ts';
import { revertSteps } from './revert.ts';
import { opContext, type Session } from './session.ts';
import { openShared } from './shared.ts';

export interface Remains {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Why the objects are left alone: whose they are, or may be. */
  readonly left?: string;
}

/**
 * Objects that bear a container's name and that its record does not tell of.
 * @param named the user asks for this container, so that objects that nobody claims are meant too.
 */
export async function findRemains(
  session: Session,
  name: string,
  { record, faults }: FoundRecord,
  named: boolean,
): Promise<Remains> {
  // Objects of a newer runspec, or of one with another data folder, are for that one to know.
  if (faults.some(({ kind }) => kind !== 'unreadable'))
    return { name, steps: [], left: 'its record is for another runspec to read' };
  const told = new Set(record?.bootId === session.bootId ? recordedSteps(record).map(objectOf) : []);
  const found = (await takeInventory(session, name)).filter((step) => !told.has(objectOf(step)));
  const steps = record === undefined ? found : found.filter((step) => !ofEvery(step));
  if (steps.length === 0) return { name, steps };
  const claim = await findClaim(session, name);
  if (claim.by === 'us') return { name, steps };
  const kinds = new Set(steps.map((step) => step.op));
  const left =
    claim.by === 'others'
      ? `it is of a container in ${claim.where}`
      : named
        ? undefined
        : await findDoubt(session, name, kinds);
  if (left === undefined) return { name, steps };
  // All systems on a machine share its cgroups: those of containers on another one are no news here.
  const isElsewhere = !named && [...kinds].every((kind) => kind === 'cgroup' || kind === 'process');
  return { name, steps: isElsewhere ? [] : steps, ...(isElsewhere ? {} : { left }) };
}

/** Whether a record always tells of such a step: each container that has one has a folder and a process. */
function ofEvery(step: Step): boolean {
  return step.op === 'directory' || step.op === 'process';
}

/** Names the object of a step: the text is the same for two steps that would make the same object. */
function objectOf(step: Step): string {
  switch (step.op) {
    case 'veth':
      return `link ${step.link}`;
    case 'bridge':
    case 'netns':
      return `${step.op} ${step.name}`;
    case 'nft-element':
      return `element ${step.set} ${step.key}`;
    case 'docker-user':
      return `docker-user ${step.link}`;
    case 'overlay':
      return `mount ${step.target}`;
    case 'private-mount':
    case 'directory':
    case 'mountpoints':
      return `folder ${step.path}`;
    case 'file':
    case 'bundle':
      return `${step.op} ${step.path}`;
    case 'layer':
      return `layer ${step.layer.path}`;
    case 'sysctl':
      return `sysctl ${step.key}`;
    case 'controller':
      return `controller ${step.mountpoint} ${step.controller}`;
    case 'address':
      return `address ${step.netns} ${step.interface}`;
    // A host has one of these, or a container has: those of two containers are never compared.
    case 'netns-folder':
    case 'nft-table':
    case 'cgroup':
    case 'nft-ingress':
    case 'process':
    case 'container-sysctls':
      return step.op;
  }
}

/** @returns what could not be undone. */
export async function removeRemains(
  session: Session,
  { name, steps }: Remains,
  report: Reporter,
): Promise<readonly OperationError[]> {
  const context = opContext(session, name, (text) => report.progress(name, '', text));
  return revertSteps(
    { context, shared: session.shared, report, before: {}, options: { volumes: false } },
    steps,
  );
}

/**
 * Shared things that no container uses any more, as shared.json and the kernel know them.
 * @param doomed remains that are about to be removed, whose links do not count as users.
 */
export async function findUnused(
  session: Session,
  doomed: readonly Remains[] = [],
): Promise<readonly Step[]> {
  const { host, shared, records, bootId, dataDir } = session;
  const view = createKernelView(host);
  const used = new Set<string>();
  for (const name of await records.names()) {
    const { record, faults } = await records.look(name);
    // A container whose record cannot be read may use anything: nothing counts as unused before it is taken down.
    if (faults.length > 0) return [];
    if (record?.bootId === bootId) for (const step of recordedSteps(record)) used.add(objectOf(step));
  }
  const isForeign = (await findForeignUser({ ...session, view }, '')) !== undefined;
  const volumes = await findUnclaimedVolumes(session);
  const asEmpty = new Map(volumes.map((step) => [objectOf(step), step]));
  const known: Step[] = [];
  for (const step of shared.steps) {
    const isUsed = (await shared.users(step.id)).length > 0 || (isForeign && step.op === 'sysctl');
    // The step of a volume keeps it. For an unclaimed volume the step that removes it takes its place.
    if (isSharedStep(step, dataDir) && !isUsed) known.push(asEmpty.get(objectOf(step)) ?? step);
  }
  const remembered = new Set(known.map(objectOf));
  const shown = [...(await takeSharedInventory({ ...session, view })), ...volumes];
  const found = shown.filter((step) => !used.has(objectOf(step)) && !remembered.has(objectOf(step)));
  const going = new Set(doomed.flatMap(({ steps }) => steps.map(objectOf)));
  const links = (await view.links()).filter(({ name }) => !going.has(`link ${name}`));
  // Steps of a bridge stay while the bridge has a port, which may be that of another data folder's container.
  return [...known, ...found].filter(
    (step) => !links.some(({ master }) => master !== undefined && master === bridgeOf(step)),
  );
}

/** @returns what could not be undone. */
export async function removeUnused(
  session: Session,
  steps: readonly Step[],
  report: Reporter,
): Promise<readonly OperationError[]> {
  const { host, dataDir, bootId, records } = session;
  const shared = await openShared(host, dataDir, bootId, records);
  const context = { ...opContext(session, '', () => undefined), view: createKernelView(host) };
  return revertSteps({ context, shared, report, before: {}, options: { volumes: false } }, steps);
}
