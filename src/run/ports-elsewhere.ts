// Published ports that no record here tells of, because their containers are of other data folders or their records are
// lost: read from the elements of the firewall. Reads only.
import { overlap } from '../load/ports.ts';
import type { PortSpec } from '../load/spec.ts';
import { containerOfOwner, NFT_TABLE } from '../names.ts';
import type { PortElsewhere } from '../plan/facts.ts';
import { findClaim } from './claims.ts';
import type { Places } from './inventory.ts';

type HostPort = Pick<PortSpec, 'protocol' | 'hostPort' | 'hostIP'>;

/** The nft maps of published ports, each with the host address that a key without one stands for. */
const MAPS = [
  ['ports', '0.0.0.0'],
  ['ports_on', ''],
  ['ports6', '::'],
  ['ports6_on', ''],
] as const;

/**
 * @param wanted limits the search to ports that are in the way of one of these.
 * @param known containers whose ports the caller knows otherwise.
 */
export async function findPortsElsewhere(
  places: Places,
  wanted: readonly HostPort[],
  known: ReadonlySet<string>,
): Promise<readonly PortElsewhere[]> {
  if (wanted.length === 0) return [];
  const sets = (await places.view.nftTable(NFT_TABLE))?.sets;
  const found = MAPS.flatMap(([set, everywhere]) =>
    (sets?.get(set) ?? []).flatMap(({ key, comment }): readonly PortElsewhere[] => {
      const port = parseKey(key, everywhere);
      const container = containerOfOwner(comment);
      if (port === undefined || container === undefined || known.has(container)) return [];
      return wanted.some((one) => overlap(one, port)) ? [{ ...port, container }] : [];
    }),
  );
  return Promise.all(
    found.map(async (one) => {
      const claim = await findClaim(places, one.container);
      return claim.by === 'others' ? { ...one, where: claim.where } : one;
    }),
  );
}

/** Parses a key such as `tcp . 8080`; in the `_on` maps an address of the host comes first. */
function parseKey(key: string, everywhere: string): Required<HostPort> | undefined {
  const [, hostIP = everywhere, protocol, port] = /^(?:(\S+) \. )?(tcp|udp) \. (\d+)$/.exec(key) ?? [];
  if (protocol !== 'tcp' && protocol !== 'udp') return undefined;
  return { protocol, hostPort: Number(port), hostIP };
}
