// The facts about this host that compile needs. Gathering them changes nothing but the remembered hashes of archives.
import type { Diagnostic } from '../errors.ts';
import type { Archives } from '../host/archives.ts';
import { readCgroups } from '../host/cgroup-facts.ts';
import type { FileStatus, Host } from '../host/host.ts';
import type { KernelView } from '../host/kernel-view.ts';
import { findSocketOwners } from '../host/listening.ts';
import { readNetwork } from '../host/network-facts.ts';
import { readResolver } from '../host/resolver-facts.ts';
import { resolveLayers, type Unfetched } from '../image/resolve-layers.ts';
import { joinedBy } from '../load/joined.ts';
import type { PortSpec, Spec } from '../load/spec.ts';
import { showSource } from '../load/show-source.ts';
import type {
  CgroupFacts,
  ContainerFacts,
  ForeignRules,
  HostFacts,
  ListeningSocket,
  ResolvedLayer,
} from '../plan/facts.ts';
import { containerFolder } from '../plan/container-folder.ts';
import { readContainerState } from '../runtime/container-state.ts';
import { statusOfNamespace } from '../runtime/joined-namespaces.ts';
import { hearPrograms } from './hear-programs.ts';
import { findAddressesElsewhere } from './addresses-elsewhere.ts';
import { findNeighboursElsewhere } from './neighbours-elsewhere.ts';
import { findPortsElsewhere } from './ports-elsewhere.ts';
import { factsOfRecord } from './record-facts.ts';
import type { ContainerRecord, Records } from './records.ts';

/** Programs whose absence or place matters to a plan. */
const PROGRAMS = ['crun', 'runc', 'conmon', 'ip', 'nft', 'mount', 'umount', 'tar'];

export interface FactSources {
  readonly host: Host;
  readonly archives: Archives;
  readonly view: KernelView;
  readonly records: Records;
  readonly stateDir: string;
  readonly dataDir: string;
  readonly bootId: string;
  readonly signal: AbortSignal;
}

/**
 * @param what `foreignRules`: firewall rules of others are among the facts; apply leaves them out, and has them read
 *   while it works. `mayWrite`: the host is locked, so that hashes may be remembered.
 */
export async function gatherFacts(
  sources: FactSources,
  specs: readonly Spec[],
  what: { readonly foreignRules: boolean; readonly mayWrite: boolean },
): Promise<HostFacts> {
  const { host, view, stateDir, dataDir, bootId } = sources;
  await hearPrograms();
  const reading = readContainers(sources, specs);
  const [cgroups, programs, network, listening, portsElsewhere, containers, layers, paths, resolver] =
    await Promise.all([
      readCgroups(host, view),
      findPrograms(host),
      readNetwork(host, view, {
        firewall: what.foreignRules && specs.some(hasNetwork),
        docker: async () => {
          if (!specs.some(hasNetwork)) return false;
          const known = Object.values(await reading);
          return known.some((one) => one.passesDocker === true) || view.hasDocker('cheap');
        },
      }),
      reading.then((known) => listeningInTheWay(sources, freshPorts(specs, known))),
      reading.then((known) => findPortsElsewhere(sources, freshPorts(specs, known), toldOf(specs, known))),
      reading,
      resolveAllLayers(sources, specs, what.mayWrite),
      readPaths(host, specs),
      readResolver(host),
    ]);
  const told = toldOf(specs, containers);
  const areConcerned = specs.some(hasNetwork);
  return {
    bootId,
    mayRaiseLimits: await mayRaiseLimits(host),
    ...(specs.some(({ namespaces }) => namespaces.uts.mode === 'host') ? await readHostname(host) : {}),
    ...(specs.some(({ resources }) => resources.cpuset !== undefined) ? await readCpus(host, cgroups) : {}),
    stateDir,
    dataDir,
    cgroups,
    programs,
    network,
    listening,
    portsElsewhere,
    addressesElsewhere: areConcerned ? await findAddressesElsewhere(view, told) : [],
    neighboursElsewhere: areConcerned ? await findNeighboursElsewhere(view, told) : [],
    containers,
    layers: layers.byName,
    images: layers.images,
    ...paths,
    resolver,
    diagnostics: layers.diagnostics,
  };
}

/** Containers that the plan knows by a record or by a spec. */
function toldOf(specs: readonly Spec[], known: HostFacts['containers']): ReadonlySet<string> {
  return new Set([...Object.keys(known), ...specs.map(({ name }) => name)]);
}

async function readHostname(host: Host): Promise<Pick<HostFacts, 'hostname'>> {
  const hostname = await host.readText('/proc/sys/kernel/hostname');
  return hostname === undefined ? {} : { hostname: hostname.trim() };
}

/** A v1 cpuset may have what the one above it has; one of v2 all that could ever be there: kernel/cgroup/cpuset.c. */
async function readCpus(host: Host, { hierarchies }: CgroupFacts): Promise<Pick<HostFacts, 'cpus'>> {
  const v1 = hierarchies.find(({ version, controllers }) => version === 1 && controllers.includes('cpuset'));
  const file = v1 === undefined ? '/sys/devices/system/cpu/possible' : `${v1.mountpoint}/cpuset.cpus`;
  const cpus = (await host.readText(file))?.trim() ?? '';
  return cpus === '' ? {} : { cpus };
}

/** Firewall rules of others; nothing when no spec has a network that they could concern. */
export async function gatherForeignRules(
  { view }: FactSources,
  specs: readonly Spec[],
): Promise<ForeignRules> {
  return specs.some(hasNetwork) ? view.foreignRules() : {};
}

function hasNetwork({ network, namespaces }: Spec): boolean {
  return namespaces.network.mode === 'private' && (network.mode === 'bridge' || network.mode === 'veth');
}

/** Number of the capability: linux/capability.h. */
const CAP_SYS_RESOURCE = 24n;

export async function mayRaiseLimits(host: Host): Promise<boolean> {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec((await host.readText('/proc/self/status')) ?? '')?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}

async function findPrograms(host: Host): Promise<Readonly<Record<string, string>>> {
  const found = await Promise.all(
    PROGRAMS.map(async (program) => [program, await host.which(program)] as const),
  );
  return Object.fromEntries(
    found.flatMap(([program, path]) => (path === undefined ? [] : [[program, path]])),
  );
}

/** Ports that are not published yet. A second apply has none, so that it need not look for listeners. */
function freshPorts(specs: readonly Spec[], containers: HostFacts['containers']): readonly PortSpec[] {
  return specs.flatMap(({ name, network }) => {
    const published = new Set(containers[name]?.ports.map((port) => port.hostPort));
    return network.ports.filter((port) => !published.has(port.hostPort));
  });
}

async function listeningInTheWay(
  { host, view }: FactSources,
  ports: readonly PortSpec[],
): Promise<readonly ListeningSocket[]> {
  const wanted = new Set(ports.map((port) => port.hostPort));
  if (wanted.size === 0) return [];
  const sockets = (await view.listening()).filter((socket) => wanted.has(socket.port));
  return findSocketOwners(host, sockets);
}

async function readContainers(
  sources: FactSources,
  specs: readonly Spec[],
): Promise<HostFacts['containers']> {
  const { host, records, dataDir, bootId } = sources;
  const joined = new Set(specs.flatMap(joinedBy).map(({ container }) => container));
  const entries = await Promise.all(
    (await records.names()).map(async (name): Promise<readonly [string, ContainerFacts][]> => {
      const isOwn = specs.some((spec) => spec.name === name);
      // One damaged record must not keep the other containers from being planned.
      const record = isOwn ? await records.read(name) : (await records.look(name)).record;
      if (record === undefined) return [];
      // After a reboot nothing of other containers is left. A container of the call may get its former address again.
      if (record.bootId !== bootId && !isOwn) return [];
      const state = joined.has(name)
        ? await readContainerState(host, containerFolder(dataDir, name))
        : undefined;
      const { specFile } = record;
      const runtime = isOwn ? await runtimeOf(host, record, bootId) : {};
      const pid = state?.status === 'running' ? { pid: state.pid } : {};
      return [[name, { ...factsOfRecord(record, bootId), specFile, ...runtime, ...pid }]];
    }),
  );
  return Object.fromEntries(entries.flat());
}

async function runtimeOf(
  host: Host,
  { applied, bootId: appliedIn }: ContainerRecord,
  bootId: string,
): Promise<Pick<ContainerFacts, 'runtime'>> {
  if (applied === undefined || appliedIn !== bootId) return {};
  return (await host.which(applied.runtime.path)) === undefined ? {} : { runtime: applied.runtime };
}

async function resolveAllLayers(
  { host, archives, dataDir, signal }: FactSources,
  specs: readonly Spec[],
  mayWrite: boolean,
): Promise<{
  readonly byName: Record<string, readonly ResolvedLayer[]>;
  readonly images: HostFacts['images'];
  readonly diagnostics: readonly (Diagnostic & { container: string })[];
}> {
  const resolved = await Promise.all(
    specs.map(
      async (spec) =>
        [spec.name, await resolveLayers(host, archives, dataDir, spec, signal, mayWrite)] as const,
    ),
  );
  return {
    byName: Object.fromEntries(resolved.map(([name, { layers }]) => [name, layers])),
    images: Object.fromEntries(
      resolved.flatMap(([name, { image }]) => (image === undefined ? [] : [[name, image]])),
    ),
    diagnostics: resolved.flatMap(([container, { diagnostics, unfetched }]) => [
      ...diagnostics.map((diagnostic) => ({ ...diagnostic, container })),
      ...unfetched.map((one) => ({ ...notFetched(one), container })),
    ]),
  };
}

// The content of a URL without a digest is known only after a download, and gathering facts downloads nothing.
function notFetched({ url, path }: Unfetched): Diagnostic {
  return {
    code: 'not-fetched',
    severity: 'error',
    message: `${showSource(url)} has no sha256 and is not in the store yet`,
    hint: 'pin it with sha256, or fetch it first: runspec image pull SPEC',
    path,
  };
}

const NAMESPACE_LINK = /^\/proc\/(?:self|thread-self|\d+)\/(?:task\/\d+\/)?ns\/\w+$/;

async function readPaths(host: Host, specs: readonly Spec[]): Promise<Pick<HostFacts, 'paths' | 'denied'>> {
  const named = specs.flatMap((spec) => [
    ...spec.mounts.flatMap((mount) => (mount.type === 'bind' ? [mount.source] : [])),
    ...spec.devices,
    ...spec.resources.io.map((limit) => limit.device),
    ...[spec.runtime, spec.security.seccomp].filter((path) => path.startsWith('/')),
  ]);
  const namespaces = specs.flatMap((spec) =>
    Object.values(spec.namespaces).flatMap((one) => (one.mode === 'path' ? [one.path] : [])),
  );
  const readAll = (paths: readonly string[], read: (path: string) => Promise<FileStatus | undefined>) =>
    [...new Set(paths)].map(async (path): Promise<[string, FileStatus | null]> => {
      const found = await read(path);
      // Only root can follow a namespace link of another user's process; others get the status of the link itself.
      return [path, found ?? (NAMESPACE_LINK.test(path) ? await host.status(path) : undefined) ?? null];
    });
  const denied: string[] = [];
  const readNamespace = async (path: string): Promise<FileStatus | undefined> => {
    try {
      return await statusOfNamespace(host, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
      denied.push(path);
      return undefined;
    }
  };
  const statuses = await Promise.all([
    ...readAll(named, (path) => host.statusOfTarget(path)),
    ...readAll(namespaces, readNamespace),
  ]);
  return { paths: Object.fromEntries(statuses), ...(denied.length === 0 ? {} : { denied }) };
}
