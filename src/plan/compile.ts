// compile: a Spec and what is known of the host, to a Plan. Pure: no clock, randomness, file system or
// environment; the same input gives the same plan, byte for byte.
import { checkCircles } from './check-circles.ts';
import { checkHidden } from './check-hidden.ts';
import { checkMounts } from './check-mounts.ts';
import { checkQuotes } from './check-quotes.ts';
import { checkSharers } from './check-sharers.ts';
import { sha256 } from '../crypto.ts';
import type { Diagnostic } from '../errors.ts';
import { joinedBy } from '../load/joined.ts';
import type { Spec } from '../load/spec.ts';
import { findConfigProblems } from '../oci/config.ts';
import { settleSpec } from './image-defaults.ts';
import { compileProcess } from './process.ts';
import { etcFilesOf } from './etc-files.ts';
import type { ContainerFacts, HostFacts } from './facts.ts';
import { macIn } from './check-mac.ts';
import { compileNetwork } from './network.ts';
import { PLAN_VERSION, type Plan, type Step } from './plan.ts';
import { createProblems, type Problems } from './problems.ts';
import { predecessors } from './step-base.ts';
import { compileResources } from './resources.ts';
import { chooseRuntime } from './runtime.ts';
import { compileStorage, placesOf } from './storage.ts';

export interface Compiled {
  /** Absent when there are errors. */
  readonly plan: Plan | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Compiles specs that go to one host together: each sees the leases and ports of the others.
 * @returns one result a spec, in their order.
 */
export function compileAll(specs: readonly Spec[], facts: HostFacts): readonly Compiled[] {
  let known = facts;
  const compiled = new Map<Spec, Compiled>();
  for (const spec of inCompileOrder(specs)) {
    const result = compile(spec, known, specs);
    compiled.set(spec, result);
    if (result.plan === undefined) continue;
    const { lease, ports } = result.plan;
    // Where its network was until now matters still to those who were in it.
    const { ownsNetwork, joinsNetworkOf, lent } = known.containers[spec.name] ?? {};
    const etc = etcFilesOf(result.plan.steps);
    const own: ContainerFacts = {
      ports,
      ...(etc === undefined ? {} : { etc }),
      ...(lease === undefined ? {} : { lease, mac: macIn(spec, lease) }),
      ...(ownsNetwork === undefined ? {} : { ownsNetwork }),
      ...(joinsNetworkOf === undefined ? {} : { joinsNetworkOf }),
      ...(lent === undefined ? {} : { lent }),
    };
    known = { ...known, containers: { ...known.containers, [spec.name]: own } };
  }
  return specs.flatMap((spec) => compiled.get(spec) ?? []);
}

const FIXED = ['address', 'mac', 'subnet', 'gateway', 'address6', 'subnet6', 'gateway6'] as const;

/** Who names an address, a MAC address or a subnet goes before who takes what is free, and a container before those that join its namespaces. */
function inCompileOrder(specs: readonly Spec[]): readonly Spec[] {
  const isFixed = ({ network }: Spec): boolean => FIXED.some((key) => network[key] !== undefined);
  return afterJoined([...specs.filter(isFixed), ...specs.filter((spec) => !isFixed(spec))]);
}

/** Specs in the given order, except that containers come before those that join their namespaces. */
export function afterJoined(specs: readonly Spec[]): readonly Spec[] {
  const result = new Set<Spec>();
  const begun = new Set<Spec>();
  const visit = (spec: Spec): void => {
    // Specs that join each other in a circle have no order; checkCircles refuses them.
    if (begun.has(spec)) return;
    begun.add(spec);
    const joined = joinedBy(spec).map(({ container }) => container);
    for (const other of specs) if (joined.includes(other.name)) visit(other);
    result.add(spec);
  };
  specs.forEach(visit);
  return [...result];
}

/** @param together all specs that go to the host in this call, the one being compiled among them. */
export function compile(spec: Spec, facts: HostFacts, together: readonly Spec[] = []): Compiled {
  const problems = createProblems();
  const found = facts.diagnostics
    .filter((diagnostic) => diagnostic.container === spec.name)
    .map(({ code, severity, path, message, hint }): Diagnostic => ({
      code,
      severity,
      path,
      message,
      ...(hint === undefined ? {} : { hint }),
    }));
  checkPaths(spec, facts, problems, together);
  checkCircles(spec, facts, problems, together);
  const settled = settleSpec(spec, facts.images[spec.name], problems);
  const runtime = chooseRuntime(spec, facts, problems);
  const network = compileNetwork(spec, facts, problems, together);
  const ownsNetwork = network.steps.some(({ op }) => op === 'netns');
  checkSharers(spec, facts, ownsNetwork, problems);
  const resources = compileResources(spec, facts, problems, runtime);
  const places = placesOf(spec, facts);
  const storage = compileStorage(spec, facts, places, network.lease);
  const process =
    runtime === undefined
      ? []
      : compileProcess(
          settled.spec,
          facts,
          places,
          {
            ...(network.netnsPath === undefined ? {} : { netnsPath: network.netnsPath }),
            networkIds: network.steps.map((step) => step.id),
            netnsIds: network.steps.filter((step) => step.op === 'netns').map((step) => step.id),
            cgroupId: resources.cgroup.id,
            layerIds: storage.filter((step) => step.op === 'layer').map((step) => step.id),
            runtime,
          },
          problems,
        );
  const diagnostics = [...found, ...findConfigProblems(spec), ...problems.all];
  if (runtime === undefined || diagnostics.some((diagnostic) => diagnostic.severity === 'error'))
    return { plan: undefined, diagnostics };
  const plan: Plan = {
    version: PLAN_VERSION,
    name: spec.name,
    specDigest: sha256(canonicalJson(settled.spec)),
    runtime,
    ...(network.lease === undefined ? {} : { lease: network.lease }),
    ports: network.lease === undefined ? [] : spec.network.ports,
    ...(settled.image === undefined ? {} : { image: settled.image }),
    steps: ordered([...storage, ...resources.steps, ...network.steps, ...process]),
  };
  return { plan, diagnostics };
}

function checkPaths(spec: Spec, facts: HostFacts, problems: Problems, together: readonly Spec[]): void {
  checkMounts(spec, facts, problems);
  checkHidden(spec, problems);
  checkQuotes(spec, facts, problems);
  checkResolver(spec, facts, problems);
  const { seccomp } = spec.security;
  if (seccomp.startsWith('/') && !exists(seccomp, facts)) {
    problems.error(
      'no-source',
      ['security', 'seccomp'],
      `the seccomp profile ${seccomp} does not exist`,
      'name a file in OCI format, or write default or unconfined',
    );
  }
  for (const [type, namespace] of Object.entries(spec.namespaces)) {
    if (namespace.mode === 'path' && facts.denied?.includes(namespace.path) === true) {
      problems.error(
        'no-permission',
        ['namespaces', type],
        `the namespace at ${namespace.path} may not be looked at`,
        'the kernel shows it to who may trace its process: root with CAP_SYS_PTRACE',
      );
    } else if (namespace.mode === 'path' && !exists(namespace.path, facts)) {
      problems.error(
        'no-namespace',
        ['namespaces', type],
        `there is no namespace at ${namespace.path}`,
        'list them with: lsns, ip netns list',
      );
    }
    if (namespace.mode === 'container' && !isKnown(namespace.container, facts, together)) {
      const known = Object.keys(facts.containers).filter((name) => name !== spec.name);
      const hint = known.length === 0 ? 'no container is up; apply it first' : `up are: ${known.join(', ')}`;
      problems.error(
        'no-container',
        ['namespaces', type],
        `there is no container ${namespace.container} to share the ${type} namespace with`,
        hint,
      );
    }
  }
}

/** What is wrong with one of the same call is told of that one. */
function isKnown(container: string, facts: HostFacts, together: readonly Spec[]): boolean {
  return facts.containers[container] !== undefined || together.some(({ name }) => name === container);
}

/** An empty resolv.conf is no error, but not what anyone expects either. */
function checkResolver(spec: Spec, { resolver }: HostFacts, problems: Problems): void {
  const asksHost =
    spec.dns.servers === undefined && (spec.network.mode === 'bridge' || spec.network.mode === 'veth');
  if (!asksHost || resolver.servers.length > 0 || resolver.local.length === 0) return;
  problems.warning(
    'no-name-server',
    ['network'],
    `the host's name servers (${resolver.local.join(', ')}) are on its loopback, where the container cannot reach them`,
    'set dns.servers',
  );
}

function exists(path: string, facts: HostFacts): boolean {
  return facts.paths[path] !== undefined && facts.paths[path] !== null;
}

/** Steps in an order that satisfies their edges, keeping the given order where the edges leave it open. */
function ordered(steps: readonly Step[]): readonly Step[] {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const result = new Set<Step>();
  const visit = (step: Step): void => {
    if (result.has(step)) return;
    for (const id of predecessors(step)) {
      const other = byId.get(id);
      if (other !== undefined) visit(other);
    }
    result.add(step);
  };
  steps.forEach(visit);
  return [...result];
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    // An undefined value counts as no key, as in JSON; the types keep such values out of a Spec already.
    const entries = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .toSorted(([one], [other]) => (one < other ? -1 : 1));
    return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`;
  }
  // Only in an array, and as JSON.stringify writes it there.
  return value === undefined ? 'null' : JSON.stringify(value);
}
