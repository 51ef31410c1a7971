// What is on the host without a record that tells of it: found by what the kernel says of owners, and taken
// back by the ops that would have made it. Persistent data stays; things in use by others stay.
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
  /** Why they are not to be touched: whose they are, or may be. */
  readonly left?: string;
}

/**
 * Objects that bear a container's name and that its record does not tell of. `named`: the user asks for this
 * container, so that what nobody claims is meant too.
 */
export async function findRemains(
  session: Session,
  name: string,
  { record, faults }: FoundRecord,
  named: boolean,
): Promise<Remains> {
  // What a newer runspec, or one with another data folder, has made is for that one to know.
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
  // Cgroups are the machine's: those of containers on its other hosts are no news here.
  const isElsewhere = !named && [...kinds].every((kind) => kind === 'cgroup' || kind === 'process');
  return { name, steps: isElsewhere ? [] : steps, ...(isElsewhere ? {} : { left }) };
}

/** Of a container that has a record, the folder and the process are told of by it, whatever else is. */
function ofEvery(step: Step): boolean {
  return step.op === 'directory' || step.op === 'process';
}

/** The same text for two steps that would make the same object. */
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
    // Of these a host has one, or a container has: of two containers they are never compared.
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
 * Shared things that no container uses any more, as shared.json and the kernel know them; `doomed` are about
 * to go.
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
    // It may use anything, and is better taken down first.
    if (faults.length > 0) return [];
    if (record?.bootId === bootId) for (const step of recordedSteps(record)) used.add(objectOf(step));
  }
  const isForeign = (await findForeignUser({ ...session, view }, '')) !== undefined;
  const volumes = await findUnclaimedVolumes(session);
  const asEmpty = new Map(volumes.map((step) => [objectOf(step), step]));
  const known: Step[] = [];
  for (const step of shared.steps) {
    const isUsed = (await shared.users(step.id)).length > 0 || (isForeign && step.op === 'sysctl');
    // A volume is kept as its step says, but for one with nothing in it that nobody claims.
    if (isSharedStep(step, dataDir) && !isUsed) known.push(asEmpty.get(objectOf(step)) ?? step);
  }
  const remembered = new Set(known.map(objectOf));
  const shown = [...(await takeSharedInventory({ ...session, view })), ...volumes];
  const found = shown.filter((step) => !used.has(objectOf(step)) && !remembered.has(objectOf(step)));
  const going = new Set(doomed.flatMap(({ steps }) => steps.map(objectOf)));
  const links = (await view.links()).filter(({ name }) => !going.has(`link ${name}`));
  // A container of another data folder may be on the bridge: then its port is.
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
