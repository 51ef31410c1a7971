// Sockets that would be in the way of a published port, and the processes that hold them. Reads only.
import { endianness } from 'node:os';
import { formatIpv6 } from '../load/ipv6.ts';
import { containerOfProcess } from '../names.ts';
import type { ListeningSocket, SocketOwner } from '../plan/facts.ts';
import type { Host } from './host.ts';
import { listPids, readOrNothing, readProcessName } from './proc-files.ts';

const LISTEN = '0A';
const UNCONNECTED = '07';

/** TCP sockets that listen and UDP sockets that are bound, in runspec's own network namespace. */
export async function readListening(host: Host): Promise<readonly ListeningSocket[]> {
  const tables = [
    ['tcp', '/proc/net/tcp', LISTEN],
    ['tcp', '/proc/net/tcp6', LISTEN],
    ['udp', '/proc/net/udp', UNCONNECTED],
    ['udp', '/proc/net/udp6', UNCONNECTED],
  ] as const;
  const texts = await Promise.all(tables.map(([, path]) => host.readText(path)));
  return tables.flatMap(([protocol, , state], index) => parseSockets(texts[index] ?? '', protocol, state));
}

function parseSockets(table: string, protocol: 'tcp' | 'udp', wanted: string): readonly ListeningSocket[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line): readonly ListeningSocket[] => {
      // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
      const fields = line.trim().split(/\s+/);
      const [host, port] = (fields[1] ?? '').split(':');
      if (host === undefined || port === undefined || fields[3] !== wanted) return [];
      return [
        { protocol, address: hexAddress(host), port: Number.parseInt(port, 16), inode: fields[9] ?? '' },
      ];
    });
}

/** Finds which process holds each socket; a walk through /proc, so only for those that are in the way. */
export async function findSocketOwners(
  host: Host,
  sockets: readonly ListeningSocket[],
): Promise<readonly ListeningSocket[]> {
  if (sockets.length === 0) return [];
  const wanted = new Map(sockets.map((socket) => [`socket:[${socket.inode}]`, socket]));
  const found = new Map<ListeningSocket, ListeningSocket>();
  for (const pid of await listPids(host)) {
    for (const link of await descriptorLinks(host, pid)) {
      const socket = wanted.get(link);
      if (socket === undefined || found.has(socket)) continue;
      found.set(socket, { ...socket, owner: await describeOwner(host, pid) });
    }
  }
  return sockets.map((socket) => found.get(socket) ?? socket);
}

async function describeOwner(host: Host, pid: string): Promise<SocketOwner> {
  const command = (await readProcessName(host, pid)) ?? 'unknown';
  const container = containerOfProcess((await readOrNothing(host, `/proc/${pid}/cgroup`)) ?? '');
  return { pid: Number(pid), command, ...(container === undefined ? {} : { container }) };
}

/**
 * Links of a process's descriptors; none for a process that ends meanwhile or is another user's: the port is then taken
 * by an unknown process.
 */
async function descriptorLinks(host: Host, pid: string): Promise<readonly string[]> {
  const names = (await host.list(`/proc/${pid}/fd`).catch(() => undefined)) ?? [];
  // A busy process closes descriptors all the time; the others still tell.
  return Promise.all(names.map((name) => host.readLink(`/proc/${pid}/fd/${name}`).catch(() => '')));
}

/**
 * Formats an address of the tables in /proc/net. The kernel writes its words of 32 bits as numbers, and they have the
 * bytes of the address in the order of the machine.
 */
export function hexAddress(hex: string, order: 'BE' | 'LE' = endianness()): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    order === 'LE' ? bytesOf(word).toReversed() : bytesOf(word),
  );
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255) return bytes.slice(12).join('.');
  return formatIpv6(bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n));
}

export function bytesOf(hex: string): readonly number[] {
  return (hex.match(/../g) ?? []).map((digits) => Number.parseInt(digits, 16));
}
