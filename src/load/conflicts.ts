// What cannot be true of several specs loaded together: one name twice, one host port twice, one
// bridge with two subnets, one address or MAC address twice, two that join each other. What is on the host already is compile's affair.
import type { SpecPath } from '../errors.ts';
import { macNamedBy } from './addresses.ts';
import { describePath } from './describe.ts';
import { findWayTo, joinedBy } from './joined.ts';
import type { ParsedDocument } from './parse.ts';
import { describePort, overlap } from './ports.ts';
import type { Finding, Published } from './scope.ts';
import type { Spec } from './spec.ts';

/** Document that could be read, perhaps with errors: wrong values are missing from the spec. */
export interface Candidate {
  readonly spec: Spec;
  readonly published: readonly Published[];
  readonly file: string;
  readonly parsed: ParsedDocument;
}

export interface Conflict {
  readonly finding: Finding;
  /** Later one of the two documents; the message names the other. */
  readonly candidate: Candidate;
}

export function findConflicts(candidates: readonly Candidate[]): readonly Conflict[] {
  const names = new Map<string, Candidate>();
  const ports = new Map<string, { readonly published: Published; readonly owner: Candidate }[]>();
  const bridges = new Map<string, Candidate[]>();
  return candidates.flatMap((candidate) => {
    const findings = [
      ...findNameConflict(candidate, names),
      ...candidate.published.flatMap((published) => findPortConflict(published, candidate, ports)),
      ...findNetworkConflicts(candidate, bridges),
      ...findCircles(candidate, names),
    ];
    return findings.map((finding) => ({ finding, candidate }));
  });
}

function findNameConflict(candidate: Candidate, names: Map<string, Candidate>): readonly Finding[] {
  const { name } = candidate.spec;
  // A wrong name has been replaced, and conflicts with nothing.
  if (candidate.parsed.sourceOf(['name']) !== name) return [];
  const other = names.get(name);
  if (other === undefined) {
    names.set(name, candidate);
    return [];
  }
  const place = describePosition(other, ['name']);
  if (place === describePosition(candidate, ['name'])) {
    const message = `${candidate.file} is read twice`;
    return [{ code: 'duplicate-name', message, hint: 'name it once, or its folder', path: ['name'] }];
  }
  const message = `name "${name}" is given to another container in ${place}`;
  const hint = 'names are unique on the host: rename one of the two';
  return [{ code: 'duplicate-name', message, hint, path: ['name'] }];
}

function findPortConflict(
  published: Published,
  candidate: Candidate,
  ports: Map<string, { readonly published: Published; readonly owner: Candidate }[]>,
): readonly Finding[] {
  const { port, path } = published;
  const key = `${port.protocol}/${port.hostPort}`;
  const others = ports.get(key) ?? [];
  ports.set(key, others);
  const taken = others.find((other) => overlap(port, other.published.port));
  if (taken === undefined) {
    others.push({ published, owner: candidate });
    return [];
  }
  const { owner } = taken;
  const where =
    owner === candidate ? describePath(taken.published.path) : describePlace(owner, taken.published.path);
  const message = `host port ${describePort(port)} is also published by ${where}`;
  const hint = 'publish it on another host port, or on another hostIP in both places';
  return [{ code: 'port-conflict', message, hint, path }];
}

function findNetworkConflicts(candidate: Candidate, bridges: Map<string, Candidate[]>): readonly Finding[] {
  const { network } = candidate.spec;
  if (network.mode !== 'bridge') return [];
  const neighbours = bridges.get(network.bridge) ?? [];
  bridges.set(network.bridge, neighbours);
  const findings: Finding[] = [];
  for (const key of ['subnet', 'gateway', 'subnet6', 'gateway6'] as const) {
    const value = network[key];
    const other = neighbours.find(
      ({ spec }) => spec.network[key] !== undefined && spec.network[key] !== value,
    );
    if (value === undefined || other === undefined) continue;
    const message = `bridge ${network.bridge} has the ${key} ${value} here and ${other.spec.network[key]} in ${describePlace(other, ['network', key])}`;
    const hint = `give both the same ${key}, or use two bridges`;
    findings.push({ code: 'bridge-conflict', message, hint, path: ['network', key] });
  }
  for (const key of ['address', 'address6'] as const) {
    const address = network[key];
    const twin = neighbours.find(({ spec }) => address !== undefined && spec.network[key] === address);
    if (twin === undefined) continue;
    const message = `network.${key} ${address} is also that of ${describePlace(twin, ['network', key])}`;
    const hint = 'give each container an address of its own';
    findings.push({ code: 'address-conflict', message, hint, path: ['network', key] });
  }
  findings.push(...findMacConflict(candidate, neighbours));
  neighbours.push(candidate);
  return findings;
}

function findMacConflict(candidate: Candidate, neighbours: readonly Candidate[]): readonly Finding[] {
  const mac = macNamedBy(candidate.spec);
  if (mac === undefined) return [];
  const placeIn = ({ spec }: Candidate): 'mac' | 'address' =>
    spec.network.mac === undefined ? 'address' : 'mac';
  const key = placeIn(candidate);
  const twin = neighbours.find(
    // Two of one address are told of that.
    (one) => macNamedBy(one.spec) === mac && (key === 'mac' || placeIn(one) === 'mac'),
  );
  if (twin === undefined) return [];
  const other = placeIn(twin);
  const here =
    key === 'mac'
      ? `network.mac ${mac}`
      : `the MAC address ${mac} of network.address ${candidate.spec.network.address}`;
  const there = `${describePlace(twin, ['network', other])}${other === 'mac' ? '' : ', made from its address'}`;
  const message = `${here} is also that of ${there}`;
  const hint = 'give each container a MAC address of its own';
  return [{ code: 'mac-conflict', message, hint, path: ['network', key] }];
}

/** At the last of those that it goes through, once all of them are known. */
function findCircles(candidate: Candidate, names: ReadonlyMap<string, Candidate>): readonly Finding[] {
  const { spec } = candidate;
  if (names.get(spec.name) !== candidate) return [];
  const joinsOf = (name: string): readonly string[] => {
    const other = names.get(name);
    return other === undefined ? [] : joinedBy(other.spec).map(({ container }) => container);
  };
  return joinedBy(spec).flatMap(({ type, container }): readonly Finding[] => {
    // A container that joins itself is reported already.
    const way = container === spec.name ? undefined : findWayTo(spec.name, container, joinsOf);
    if (way === undefined) return [];
    const links = way.flatMap((name, index) => {
      const [other, next] = [names.get(name), way[index + 1] ?? spec.name];
      const link = other && joinedBy(other.spec).find((one) => one.container === next);
      if (other === undefined || link === undefined) return [];
      return [`${name} joins ${next} (${describePosition(other, ['namespaces', link.type])})`];
    });
    const message = `${spec.name} and ${container} join each other in a circle: ${links.join(', ')}`;
    const hint = 'none of them could be made first: write private in one of the places';
    return [{ code: 'join-circle', message, hint, path: ['namespaces', type] }];
  });
}

/** Place of a value for messages, as in `db (specs/db.yaml:12:5)`. */
function describePlace(candidate: Candidate, path: SpecPath): string {
  return `${candidate.spec.name} (${describePosition(candidate, path)})`;
}

function describePosition(candidate: Candidate, path: SpecPath): string {
  const start = candidate.parsed.locate(path)?.start;
  return start === undefined ? candidate.file : `${candidate.file}:${start.line}:${start.column}`;
}
