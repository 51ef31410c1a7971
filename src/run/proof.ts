// Proof that a container has left nothing: a snapshot of the host from before its first effect, kept with its record,
// is compared with one after it is down. A difference either belongs to somebody else, by name, or is residue.
import { posix } from 'node:path';
import {
  diffSnapshots,
  takeSnapshot,
  type Snapshot,
  type SnapshotDifference,
  type SnapshotScope,
} from '../host/snapshot.ts';
import { CGROUP_ROOT, cgroupOf, NETNS_FOLDER, networkChain, ownerOf } from '../names.ts';
import type { Step } from '../plan/plan.ts';
import { containerFolder, RECORD_FILES } from '../plan/container-folder.ts';
import { foreignNames } from './foreign-names.ts';
import { listOwners } from './kept-data.ts';
import { recordedSteps } from './records.ts';
import { seal, unseal } from './seal.ts';
import type { Session } from './session.ts';
import { readNote } from './volume-notes.ts';

export interface KeptSnapshot {
  readonly version: number;
  readonly bootId: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly snapshot: Snapshot;
  /** For each container that was up then: the words by which its objects are recognized. */
  readonly others: Readonly<Record<string, readonly string[]>>;
}

export interface Proof {
  readonly container: string;
  readonly clean: boolean;
  readonly residue: readonly SnapshotDifference[];
  /** Differences that belong to somebody else, who is named. */
  readonly attributed: readonly (SnapshotDifference & { readonly owner: string })[];
  readonly before: string;
  readonly after: string;
  /** Number of objects in the snapshot after, by class. */
  readonly classes: Readonly<Record<string, number>>;
}

/** Raised when a stored snapshot can no longer be compared with a new one. */
const VERSION: number = 1;

function scopeOf({ stateDir, dataDir }: Session): SnapshotScope {
  return {
    folders: [
      ...[stateDir, dataDir, NETNS_FOLDER, '/dev/shm'].map((path) => ({ path, depth: 8 })),
      ...['/etc/hosts', '/etc/resolv.conf', '/etc/hostname'].map((path) => ({ path, depth: 0 })),
    ],
    // Unpacked layers are kept for the next container, until `image gc`; the lock is this very call's.
    ignore: [`${dataDir}/images`, `${dataDir}/.lock`],
  };
}

/** Stores a snapshot with each container's record. To be called under the lock, before the first effect. */
export async function keepSnapshot(session: Session, names: readonly string[]): Promise<void> {
  const { host, dataDir, bootId } = session;
  const kept: KeptSnapshot = {
    version: VERSION,
    bootId,
    at: host.now(),
    snapshot: await takeSnapshot(host, scopeOf(session)),
    others: await namesOfOthers(session, names),
  };
  await host.makeDirectory(`${dataDir}/containers`, { mode: 0o700 });
  for (const name of names) {
    const folder = containerFolder(dataDir, name);
    await host.makeDirectory(folder, { mode: 0o700 });
    await host.writeAtomic(`${folder}/${RECORD_FILES.before}`, seal(kept), { mode: 0o600 });
  }
}

/** Removes the snapshot, and the container's folder when nothing else is in it. */
export async function dropSnapshot({ host, dataDir, records }: Session, name: string): Promise<void> {
  const folder = containerFolder(dataDir, name);
  await host.removeFile(`${folder}/${RECORD_FILES.before}`);
  if ((await host.list(folder))?.length === 0) await host.removeDirectory(folder);
  await records.tidy();
}

export async function readSnapshot(
  { host, dataDir, bootId }: Pick<Session, 'host' | 'dataDir' | 'bootId'>,
  name: string,
): Promise<KeptSnapshot | undefined> {
  const text = await host.readText(`${containerFolder(dataDir, name)}/${RECORD_FILES.before}`);
  if (text === undefined) return undefined;
  const kept = unseal(text) as KeptSnapshot | undefined;
  // The kernel of a former boot cannot be compared with this one.
  return kept?.version === VERSION && kept.bootId === bootId ? kept : undefined;
}

/** Time for what the kernel lets go of late: time-wait, dying cgroups, the last process of a session. */
const SETTLE_MS = 3000;

/** @param steps of the container, as recorded before it was taken down. */
export async function prove(
  session: Session,
  container: string,
  { snapshot, at, others }: KeptSnapshot,
  steps: readonly Step[],
): Promise<Proof> {
  const { host } = session;
  const own = namesIn(container, steps);
  // Names of shared things are among the arguments of other runspecs too, so a process is not recognized by them.
  const ownOfProcesses = own.filter((name) => name.endsWith(container) || mentions(name, container));
  const ofRecords = { ...others, ...(await namesOfOthers(session, [container])) };
  const ofKept = await namesOfKept(session, [container, ...Object.keys(ofRecords)]);
  const owners = new Map([...Object.entries(ofRecords), ...Object.entries(ofKept)]);
  const shared = sharedFolders(session, ofRecords, ofKept);
  const kept = steps.flatMap((step) =>
    step.op === 'directory' && step.removal === 'volume' ? [posix.dirname(step.path)] : [],
  );
  // As long as a volume is kept, so is shared.json, which knows what was there before the folder of volumes.
  const volumes = kept.length === 0 ? [] : [...kept, `${session.dataDir}/shared.json`];
  let earlier: ReadonlySet<string> | undefined;
  for (const end = host.monotonic() + SETTLE_MS; ; await host.sleep(200)) {
    const after = await takeSnapshot(host, scopeOf(session));
    const known = new Set([container, ...owners.keys()]);
    for (const [name, names] of foreignNames([snapshot, after], known)) owners.set(name, names);
    // The parent cgroup of all containers goes with the last one, of whatever data folder.
    const isInUse = after['cgroup']?.some(({ key }) => posix.dirname(key).endsWith(CGROUP_ROOT)) === true;
    if (isInUse || Object.keys(others).length > 0) owners.set('', [CGROUP_ROOT]);
    const found = diffSnapshots(snapshot, after);
    const differences = found.map((one) => ({
      one,
      owner: isFleeting(one, earlier)
        ? 'what comes and goes'
        : shared.some((path) => one.key.startsWith(`${path} `))
          ? OTHERS
          : attribute(one, one.class === 'process' ? ownOfProcesses : own, owners, volumes),
    }));
    earlier = new Set(found.map(textOf));
    const residue = differences.flatMap(({ one, owner }) => (owner === undefined ? [one] : []));
    if (residue.length > 0 && host.monotonic() < end) continue;
    return {
      container,
      clean: residue.length === 0,
      residue,
      attributed: differences.flatMap(({ one, owner }) => (owner === undefined ? [] : [{ ...one, owner }])),
      before: new Date(at).toISOString(),
      after: new Date(host.now()).toISOString(),
      classes: Object.fromEntries(Object.entries(after).map(([name, items]) => [name, items.length])),
    };
  }
}

/** Named as the owner of what several containers share. */
const OTHERS = 'other containers';

/** Folders and files that containers share, as long as others have records, now or before, or kept data. */
function sharedFolders(
  { stateDir, dataDir }: Session,
  ofRecords: Readonly<Record<string, unknown>>,
  ofKept: Readonly<Record<string, unknown>>,
): readonly string[] {
  const hasRecords = Object.keys(ofRecords).length > 0;
  const hasKept = Object.keys(ofKept).length > 0;
  return [
    ...(hasRecords ? [stateDir, `${dataDir}/containers`] : []),
    ...(hasRecords || hasKept
      ? ['shared.json', 'volumes', 'writable'].map((name) => `${dataDir}/${name}`)
      : []),
  ];
}

/** For each container that is down: the paths that a `down --volumes` would remove. */
async function namesOfKept(
  session: Session,
  except: readonly string[],
): Promise<Readonly<Record<string, readonly string[]>>> {
  const { dataDir } = session;
  const names = (await listOwners(session)).filter((name) => !except.includes(name));
  const found = await Promise.all(
    names.map(async (name) => {
      const volumes = await readNote(session, name);
      const paths = [`writable/${name}`, `volumes/.${name}`, ...volumes.map((one) => `volumes/${one}`)];
      return [name, paths.map((path) => `${dataDir}/${path}`)] as const;
    }),
  );
  return Object.fromEntries(found);
}

/** Whether a process is new since the snapshot before: one that the container has left would have been in that too. */
function isFleeting(one: SnapshotDifference, earlier: ReadonlySet<string> | undefined): boolean {
  return one.class === 'process' && one.change === 'new' && earlier?.has(textOf(one)) === false;
}

function textOf({ class: kind, change, key, note = '' }: SnapshotDifference): string {
  return [kind, change, key, note].join(' ');
}

/** The owner of a difference; undefined when it is the container's own, or nobody's. */
function attribute(
  { key, note = '', class: kind }: SnapshotDifference,
  own: readonly string[],
  others: ReadonlyMap<string, readonly string[]>,
  volumes: readonly string[],
): string | undefined {
  const text = `${key} ${note}`;
  if (volumes.some((path) => mentions(text, path))) return 'kept data, until --volumes';
  const isShared = (name: string): boolean => [...others.values()].some((names) => names.includes(name));
  if (own.some((name) => mentions(text, name) && !isShared(name))) return undefined;
  for (const [name, names] of others)
    if (names.some((one) => mentions(text, one))) return name === '' ? OTHERS : `container ${name}`;
  // Processes come and go on every host; ours are in our cgroups or have our folders among their arguments.
  if (kind !== 'process' && kind !== 'namespace' && kind !== 'cgroup') return undefined;
  const cgroup = kind === 'cgroup' ? key : / in (\/.*)$/.exec(note)?.[1];
  return cgroup === undefined || cgroup.endsWith(CGROUP_ROOT) ? undefined : `the cgroup ${cgroup}`;
}

async function namesOfOthers(
  { records }: Session,
  except: readonly string[],
): Promise<Readonly<Record<string, readonly string[]>>> {
  const names = (await records.names()).filter((name) => !except.includes(name));
  const found = await Promise.all(
    names.map(async (name) => {
      const record = await records.read(name);
      return [name, namesIn(name, record === undefined ? [] : recordedSteps(record))] as const;
    }),
  );
  return Object.fromEntries(found);
}

/** Words by which the objects of a container are recognized. */
function namesIn(container: string, steps: readonly Step[]): readonly string[] {
  const names = steps.flatMap((step): readonly string[] => {
    switch (step.op) {
      case 'directory':
      case 'file':
      case 'private-mount':
      case 'bundle':
      case 'mountpoints':
        return [step.path];
      case 'overlay':
        return [step.target];
      case 'netns':
      case 'bridge':
        return [step.name];
      case 'veth':
        return [step.link, step.alias];
      case 'address':
        return [step.address.split('/')[0] ?? ''];
      case 'sysctl':
        return [step.key.replaceAll('.', '/'), ...(step.key === 'net.ipv4.ip_forward' ? FORWARDING : [])];
      case 'nft-ingress':
        return [`table netdev ${step.table}`];
      case 'docker-user':
        return [networkChain(step.link)];
      case 'nft-table':
        return [`table inet ${step.table}`];
      case 'netns-folder':
        return [NETNS_FOLDER];
      // Objects of these are in the table, a folder or the cgroup that other words name.
      case 'nft-element':
      case 'cgroup':
      case 'container-sysctls':
      case 'controller':
      case 'layer':
      case 'process':
        return [];
    }
  });
  return [...new Set([ownerOf(container), cgroupOf(container), `/containers/${container}`, ...names])];
}

/** Sysctls that the kernel changes together with ip_forward. */
const FORWARDING = ['forwarding', 'accept_redirects'];

/** Whether the text has the name as a whole word: `web` is not in `web2`, but a folder is in the paths below it. */
function mentions(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const [before, after] = [text[at - 1] ?? ' ', text[at + name.length] ?? ' '];
    if (!/[\w-]/.test(after) && (name.startsWith('/') || !/[\w-]/.test(before))) return true;
  }
  return false;
}
