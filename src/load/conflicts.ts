// What cannot be true of several specs loaded together: one name twice, one host port twice, one
// bridge with two subnets, one address twice. What is on the host already is compile's affair.
import type { SpecPath } from '../errors.ts';
import { describePath } from './describe.ts';
import type { ParsedDocument } from './parse.ts';
import { describePort, overlap } from './ports.ts';
import type { Finding, Published } from './scope.ts';
import type { Spec } from './spec.ts';

/** A document that could be read, perhaps with errors: wrong values are missing from the spec. */
export interface Candidate {
  readonly spec: Spec;
  readonly published: readonly Published[];
  readonly file: string;
  readonly parsed: ParsedDocument;
}

export interface Conflict {
  readonly finding: Finding;
  /** The later of the two; the message names the other. */
  readonly candidate: Candidate;
}

export function findConflicts(candidates: readonly Candidate[]): readonly Conflict[] {
  return candidates.flatMap((candidate, index) => {
    const earlier = candidates.slice(0, index);
    const findings = [
      ...findNameConflicts(candidate, earlier),
      ...findPortConflicts(candidate, earlier),
      ...findNetworkConflicts(candidate, earlier),
    ];
    return findings.map((finding) => ({ finding, candidate }));
  });
}

function findNameConflicts(candidate: Candidate, earlier: readonly Candidate[]): readonly Finding[] {
  const { name } = candidate.spec;
  // A name that was wrong has been replaced.
  if (candidate.parsed.sourceOf(['name']) !== name) return [];
  const other = earlier.find(({ spec, parsed }) => spec.name === name && parsed.sourceOf(['name']) === name);
  if (other === undefined) return [];
  const message = `name "${name}" is also that of ${describePlace(other, ['name'])}`;
  return [
    {
      code: 'duplicate-name',
      message,
      hint: 'names are unique on the host: rename one of the two',
      path: ['name'],
    },
  ];
}

function findPortConflicts(candidate: Candidate, earlier: readonly Candidate[]): readonly Finding[] {
  return candidate.published.flatMap(({ port, path }, index) => {
    const own = candidate.published.slice(0, index).map((other) => ({ other, owner: candidate }));
    const others = earlier.flatMap((owner) => owner.published.map((other) => ({ other, owner })));
    const taken = [...others, ...own].find(({ other }) => overlap(port, other.port));
    if (taken === undefined) return [];
    const where =
      taken.owner === candidate
        ? describePath(taken.other.path)
        : describePlace(taken.owner, taken.other.path);
    const message = `host port ${describePort(port)} is also published by ${where}`;
    return [
      {
        code: 'port-conflict',
        message,
        hint: 'publish it on another host port, or on another hostIP in both places',
        path,
      },
    ];
  });
}

function findNetworkConflicts(candidate: Candidate, earlier: readonly Candidate[]): readonly Finding[] {
  const { network } = candidate.spec;
  if (network.mode !== 'bridge') return [];
  const neighbours = earlier.filter(
    ({ spec }) => spec.network.mode === 'bridge' && spec.network.bridge === network.bridge,
  );
  const findings: Finding[] = [];
  for (const key of ['subnet', 'gateway'] as const) {
    const other = neighbours.find(
      ({ spec }) => spec.network[key] !== undefined && spec.network[key] !== network[key],
    );
    if (network[key] === undefined || other === undefined) continue;
    const message = `bridge ${network.bridge} has the ${key} ${network[key]} here and ${other.spec.network[key]} in ${describePlace(other, ['network', key])}`;
    findings.push({
      code: 'bridge-conflict',
      message,
      hint: `give both the same ${key}, or use two bridges`,
      path: ['network', key],
    });
  }
  const twin = neighbours.find(
    ({ spec }) => network.address !== undefined && spec.network.address === network.address,
  );
  if (twin !== undefined) {
    const message = `network.address ${network.address} is also that of ${describePlace(twin, ['network', 'address'])}`;
    findings.push({
      code: 'address-conflict',
      message,
      hint: 'give each container an address of its own',
      path: ['network', 'address'],
    });
  }
  return findings;
}

/** As in `db (specs/db.yaml:12:5)`. */
function describePlace(candidate: Candidate, path: SpecPath): string {
  const start = candidate.parsed.locate(path)?.start;
  return `${candidate.spec.name} (${candidate.file}${start === undefined ? '' : `:${start.line}:${start.column}`})`;
}
