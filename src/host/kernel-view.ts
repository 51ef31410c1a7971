// Kernel view: links, namespaces, nft tables and mounts as the kernel has them now, read once and kept until forgotten,
// so that probing twenty containers costs a handful of processes. Reads only.
import { netnsFile, NFT_TABLE } from '../names.ts';
import type { ForeignRules, ListeningSocket } from '../plan/facts.ts';
import { despiteSignals, runChecked } from './commands.ts';
import type { Host } from './host.ts';
import { isDockerLink } from '../plan/docker-user-rules.ts';
import { readDockerUser, type DockerUser } from './docker-user.ts';
import { readForeignRules } from './foreign-tables.ts';
import { readHostRoutes, type HostRoute } from './host-routes.ts';
import { asList, parseJson, record, text } from './json-fields.ts';
import { readListening } from './listening.ts';
import { unescapeOctal } from './proc-files.ts';
import {
  hasOwnLink,
  readOutline,
  readNftTable,
  type FirewallOutline,
  type NftTableState,
} from './nft-table.ts';

export interface LinkState {
  readonly name: string;
  readonly alias: string | undefined;
  /** `bridge`, `veth`…; undefined for physical devices. */
  readonly kind: string | undefined;
  readonly mtu: number;
  readonly mac: string;
  readonly up: boolean;
  /** Name of the bridge it is a port of. */
  readonly master: string | undefined;
  /** Hairpin mode of a bridge port: packets may leave by the port they came from. */
  readonly hairpin: boolean;
  /** A bridge port that passes nothing on: it is down, without a carrier, or somebody has said so. */
  readonly disabled: boolean;
  readonly addresses: readonly {
    readonly family: 'inet' | 'inet6';
    readonly address: string;
    readonly prefix: number;
  }[];
}

export interface RouteState {
  /** `default` (one a family) or a CIDR; of the main table. */
  readonly destination: string;
  readonly gateway: string | undefined;
  readonly link: string;
}

export interface NetnsState {
  readonly links: readonly LinkState[];
  readonly routes: readonly RouteState[];
}

export interface MountState {
  readonly id: number;
  readonly parent: number;
  readonly device: string;
  readonly root: string;
  readonly target: string;
  readonly type: string;
  readonly source: string;
  /** Options of the mount point, as in `rw,relatime`. */
  readonly options: string;
  /** Options of the file system, as in `rw,lowerdir=…`. */
  readonly superOptions: string;
  /** True when the mount has neither a `shared:` nor a `master:` tag. */
  readonly isPrivate: boolean;
}

export interface KernelView {
  links(): Promise<readonly LinkState[]>;
  link(name: string): Promise<LinkState | undefined>;
  /** Routes of the host's own namespace. */
  hostRoutes(): Promise<readonly HostRoute[]>;
  /** Links and routes of a named namespace; undefined when there is none of that name. */
  netns(name: string): Promise<NetnsState | undefined>;
  nftTable(table: string, family?: 'inet' | 'netdev'): Promise<NftTableState | undefined>;
  /** Names of the tables of the family netdev, which outlive the chains of a link that is gone. */
  netdevTables(): Promise<readonly string[]>;
  /** Chains and tables of programs that forward packets between networks, for people: `chain DOCKER-USER`. */
  engines(): Promise<readonly string[]>;
  /** Filter chains that are not runspec's. */
  foreignRules(): Promise<ForeignRules>;
  listening(): Promise<readonly ListeningSocket[]>;
  /** DOCKER-USER and runspec's chains beside it, from iptables; undefined when there are none. */
  dockerUser(): Promise<DockerUser | undefined>;
  /**
   * Whether Docker is here, by its links or by its chain. `cheap`: while containers of ours are up, by its links alone,
   * which starts no further program; only the records then tell who was let past Docker before.
   */
  hasDocker(effort: 'cheap' | 'thorough'): Promise<boolean>;
  /** Mounts in the order of /proc/self/mountinfo: later entries cover earlier ones. */
  mounts(): Promise<readonly MountState[]>;
  /**
   * Begins to read what every plan needs, and the given namespaces, so that the answers come while other work is done.
   */
  warmUp(what: {
    readonly sockets: boolean;
    readonly foreignRules: boolean;
    readonly netns?: readonly string[];
  }): void;
  /** Drops all that was read; called after a change. */
  forget(): void;
}

export function createKernelView(host: Host): KernelView {
  const known = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, read: () => Promise<T>): Promise<T> => {
    const earlier = known.get(key);
    if (earlier !== undefined) return earlier as Promise<T>;
    const reading = despiteSignals(read);
    known.set(key, reading);
    return reading;
  };
  const links = (): Promise<readonly LinkState[]> => once('links', () => readLinks(host));
  const outline = (): Promise<FirewallOutline> => once('outline', () => readOutline(host));
  const hasOwnTable = async (): Promise<boolean> =>
    (await outline()).tables.some(({ family, name }) => family === 'inet' && name === NFT_TABLE);
  // Without a link of ours, the outline that an apply reads anyway tells whether our table exists: one process in all.
  const ownTable = (): Promise<NftTableState | undefined> =>
    once('own table', async () =>
      (await hasOwnLink(host)) || (await hasOwnTable()) ? readNftTable(host, 'inet', NFT_TABLE) : undefined,
    );
  const nftTable: KernelView['nftTable'] = async (table, family = 'inet') =>
    table === NFT_TABLE && family === 'inet'
      ? ownTable()
      : once(`nft ${family} ${table}`, () => readNftTable(host, family, table));
  const listening = (): Promise<readonly ListeningSocket[]> => once('listening', () => readListening(host));
  const foreignRules = (): Promise<ForeignRules> =>
    once('foreign rules', async () => {
      // Sequential: starting a program takes longer while other children keep the processors busy.
      await ownTable();
      return readForeignRules(host, (await outline()).baseChains);
    });
  const netns: KernelView['netns'] = (name) => once(`netns ${name}`, () => readNetns(host, netnsFile(name)));
  return {
    links,
    link: async (name) => (await links()).find((link) => link.name === name),
    hostRoutes: () => once('host routes', () => readHostRoutes(host)),
    netns,
    nftTable,
    netdevTables: async () =>
      (await outline()).tables.flatMap(({ family, name }) => (family === 'netdev' ? [name] : [])),
    engines: async () => (await outline()).engines,
    foreignRules,
    listening,
    dockerUser: () => once('docker-user', () => readDockerUser(host)),
    hasDocker: async (effort) => {
      if ((await links()).some(isDockerLink)) return true;
      if (effort === 'cheap' && (await hasOwnLink(host))) return false;
      return (await outline()).hasDockerUser;
    },
    mounts: () => once('mounts', () => readMounts(host)),
    // Failures are not lost: the promise is kept, and a later call for the value gets the failure.
    warmUp: (what) =>
      void Promise.allSettled([
        links(),
        what.foreignRules ? foreignRules() : ownTable(),
        ...(what.sockets ? [listening()] : []),
        ...(what.netns ?? []).map(netns),
      ]),
    forget: () => known.clear(),
  };
}

export async function readLinks(host: Host): Promise<readonly LinkState[]> {
  const result = await runChecked(host, ['ip', '-j', '-d', 'addr', 'show']);
  return parseLinks(parseJson(result.stdout, 'ip'));
}

/** @param path a file that stands for the namespace. */
export async function readNetns(host: Host, path: string): Promise<NetnsState | undefined> {
  if ((await host.status(path)) === undefined) return undefined;
  // nsenter and not `ip -n`, which makes a copy of all mounts to mount another /sys: that is no mere reading, and for a
  // moment the copy holds every overlay that is being unmounted.
  const enter = ['nsenter', `--net=${path}`];
  const result = await host.run([...enter, 'ip', '-d', '-j', '-batch', '-'], {
    // `table all` lists both families, while the main table alone would be IPv4's.
    stdin: 'addr show\nroute show table all\n',
  });
  // A file that is left without its mount is no namespace: nsenter says "Invalid argument" for it.
  if (result.status !== 0) return undefined;
  const lines = result.stdout.split('\n').filter((line) => line.startsWith('['));
  return {
    links: parseLinks(parseJson(lines[0] ?? '[]', 'ip')),
    routes: asList(parseJson(lines[1] ?? '[]', 'ip'))
      .filter((route) => (text(route['table']) ?? 'main') === 'main')
      .map((route) => ({
        destination: text(route['dst']) ?? '',
        gateway: text(route['gateway']),
        link: text(route['dev']) ?? '',
      })),
  };
}

/** @param folder of a process; its mount namespace is read. */
export async function readMounts(host: Host, folder = '/proc/self'): Promise<readonly MountState[]> {
  const table = (await host.readText(`${folder}/mountinfo`)) ?? '';
  return table
    .split('\n')
    .filter((line) => line !== '')
    .map(parseMount);
}

// man 5 proc: id parent major:minor root target options [tag…] - type source superOptions
function parseMount(line: string): MountState {
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  const tags = fields.slice(6, separator);
  return {
    id: Number(fields[0]),
    parent: Number(fields[1]),
    device: fields[2] ?? '',
    root: unescapeOctal(fields[3] ?? ''),
    target: unescapeOctal(fields[4] ?? ''),
    options: fields[5] ?? '',
    type: fields[separator + 1] ?? '',
    source: unescapeOctal(fields[separator + 2] ?? ''),
    superOptions: unescapeOctal(fields[separator + 3] ?? ''),
    isPrivate: !tags.some((tag) => tag.startsWith('shared:') || tag.startsWith('master:')),
  };
}

function parseLinks(json: unknown): readonly LinkState[] {
  return asList(json)
    .filter((link) => typeof link['ifname'] === 'string')
    .map((link) => ({
      name: text(link['ifname']) ?? '',
      alias: text(link['ifalias']),
      kind: text(record(link['linkinfo'])['info_kind']),
      mtu: Number(link['mtu']),
      mac: text(link['address']) ?? '',
      up: Array.isArray(link['flags']) && link['flags'].includes('UP'),
      master: text(link['master']),
      hairpin: record(record(link['linkinfo'])['info_slave_data'])['hairpin'] === true,
      disabled: record(record(link['linkinfo'])['info_slave_data'])['state'] === 'disabled',
      addresses: asList(link['addr_info']).map((address) => ({
        family: address['family'] === 'inet6' ? ('inet6' as const) : ('inet' as const),
        address: text(address['local']) ?? '',
        prefix: Number(address['prefixlen']),
      })),
    }));
}
