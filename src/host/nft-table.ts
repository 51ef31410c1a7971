// One nft table as the kernel has it, and which base chains stand on the way of packets. Reads only.
import { commandError } from './commands.ts';
import type { Host } from './host.ts';
import { isRecord, record, text, type Fields } from './json-fields.ts';
import { isMissing, listTable, readChainsAndTables } from './nft-json.ts';

export interface NftTableState {
  /** As `dormant`, which switches all of it off. */
  readonly hasFlags: boolean;
  /** Comments of the rules of each chain, in order; a rule without one counts as an empty text. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Those of the chains that the kernel itself calls. */
  readonly baseChains: readonly BaseChain[];
  readonly sets: ReadonlyMap<string, readonly NftElementState[]>;
}

/** Chain that the kernel itself calls from a hook, whatever program made it. */
export interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** `filter`, `nat`, `route`. */
  readonly type: string;
  readonly hook: string;
  readonly priority: number;
  readonly policy: string;
}

/** Base chains and tables of the host, without rules and elements. */
export interface FirewallOutline {
  readonly baseChains: readonly BaseChain[];
  readonly tables: readonly { readonly family: string; readonly name: string }[];
  /** Whether Docker's chain DOCKER-USER exists. */
  readonly hasDockerUser: boolean;
  /** Chains and tables of programs that forward packets between networks, for people: `chain DOCKER-USER`. */
  readonly engines: readonly string[];
}

export interface NftElementState {
  readonly key: string;
  readonly value: string | undefined;
  readonly comment: string | undefined;
}

export async function readNftTable(
  host: Host,
  family: string,
  table: string,
): Promise<NftTableState | undefined> {
  const objects = await listTable(host, family, table);
  return objects && parseTable(objects);
}

/** A link by this name is the host end of a container's veth: where one is, so is our table. */
const OWN_LINK = /^\s*rs[0-9a-f]{8}:/m;

export async function hasOwnLink(host: Host): Promise<boolean> {
  return OWN_LINK.test((await host.readText('/proc/net/dev')) ?? '');
}

/**
 * Lists chains and tables in a process of its own: together with our table, nft 1.0.6 shows no chain outside of it, and
 * a listing of the whole ruleset would read every set of others.
 */
export async function readOutline(host: Host): Promise<FirewallOutline> {
  const listed = await host.run(['nft', '-j', 'list chains; list tables']);
  // A missing nft counts as no tables: a plan that needs none goes on, and a step that makes or removes one fails
  // itself.
  if (listed.status === undefined && (await host.which('nft')) === undefined)
    return { baseChains: [], hasDockerUser: false, engines: [], tables: [] };
  // The host of unprivileged.ts answers a refused command like a missing object: no tables.
  if (listed.status !== 0 && !isMissing(listed.stderr))
    throw commandError('cannot read the tables of nft', listed);
  const objects = listed.status === 0 ? await readChainsAndTables(host, listed.stdout) : [];
  return {
    baseChains: parseBaseChains(objects),
    hasDockerUser: objects.some((object) => {
      const { family, table, name } = record(object['chain']);
      return family === 'ip' && table === 'filter' && name === 'DOCKER-USER';
    }),
    engines: findEngines(objects),
    tables: objects.flatMap((object) => {
      const { family, name } = record(object['table']);
      return typeof family === 'string' && typeof name === 'string' ? [{ family, name }] : [];
    }),
  };
}

/** Chains of Docker, Podman (netavark and CNI), libvirt and Kubernetes; LXD, Incus and newer versions have tables. */
const ENGINE_CHAIN = /^(?:DOCKER-(?:USER|FORWARD)|NETAVARK[-_]FORWARD|CNI-FORWARD|LIBVIRT_FWO|KUBE-FORWARD)$/;
const ENGINE_TABLE = /^(?:docker-bridges|netavark|libvirt_network|lxd|incus)$/;

/** Engines by their IPv4 chains and tables: Docker and libvirt make those of IPv6 whether they use it or not. */
function findEngines(objects: readonly Fields[]): readonly string[] {
  const found = objects.flatMap((object) =>
    (['chain', 'table'] as const).flatMap((kind) => {
      const { family, name } = record(object[kind]);
      if (typeof name !== 'string' || (family !== 'ip' && family !== 'inet')) return [];
      return (kind === 'chain' ? ENGINE_CHAIN : ENGINE_TABLE).test(name) ? [`${kind} ${name}`] : [];
    }),
  );
  return [...new Set(found)];
}

function parseBaseChains(objects: readonly Fields[]): readonly BaseChain[] {
  return objects.flatMap((object) => {
    const chain = record(object['chain']);
    const hook = text(chain['hook']);
    if (hook === undefined) return [];
    const field = (name: string): string => text(chain[name]) ?? '';
    const place = { family: field('family'), table: field('table'), name: field('name') };
    const found = { ...place, hook, type: field('type'), priority: Number(chain['prio']) };
    return [{ ...found, policy: text(chain['policy']) ?? 'accept' }];
  });
}

function parseTable(objects: readonly Fields[]): NftTableState {
  const chains = new Map<string, string[]>();
  const sets = new Map<string, readonly NftElementState[]>();
  for (const object of objects) {
    if ('chain' in object) chains.set(text(record(object['chain'])['name']) ?? '', []);
    if ('rule' in object) {
      const rule = record(object['rule']);
      chains.get(text(rule['chain']) ?? '')?.push(text(rule['comment']) ?? '');
    }
    const set = object['set'] ?? object['map'];
    if (set !== undefined) {
      const fields = record(set);
      const elements = Array.isArray(fields['elem']) ? fields['elem'] : [];
      const types =
        typeof fields['type'] === 'string'
          ? [fields['type']]
          : Array.isArray(fields['type'])
            ? fields['type']
            : [];
      sets.set(
        text(fields['name']) ?? '',
        elements.map((element) => parseElement(element, types)),
      );
    }
  }
  const hasFlags = objects.some(({ table }) => record(table)['flags'] !== undefined);
  return { hasFlags, chains, baseChains: parseBaseChains(objects), sets };
}

function parseElement(element: unknown, types: readonly unknown[]): NftElementState {
  const [key, value] = Array.isArray(element) ? (element as unknown[]) : [element, undefined];
  const wrapped = isRecord(key) && 'elem' in key ? record(key['elem']) : undefined;
  return {
    key: nameProtocols(showNftValue(wrapped === undefined ? key : wrapped['val']), types),
    value: value === undefined ? undefined : showNftValue(value),
    comment: wrapped === undefined ? undefined : text(wrapped['comment']),
  };
}

/** Names of protocol numbers: nft takes them from /etc/protocols, which small systems lack. */
const PROTOCOLS = new Map([
  ['6', 'tcp'],
  ['17', 'udp'],
]);

function nameProtocols(key: string, types: readonly unknown[]): string {
  if (!types.includes('inet_proto')) return key;
  const parts = key.split(' . ');
  return parts
    .map((part, index) => (types[index] === 'inet_proto' ? (PROTOCOLS.get(part) ?? part) : part))
    .join(' . ');
}

function showNftValue(value: unknown): string {
  if (isRecord(value) && Array.isArray(value['concat'])) return value['concat'].map(showNftValue).join(' . ');
  return String(value);
}
