// Containers on bridges that no record here tells of, because they are of other data folders or their
// records are lost: read from the aliases of the bridges' ports. Reads only.
import type { KernelView } from '../host/kernel-view.ts';
import { containerOfOwner, NFT_TABLE, ownerOf } from '../names.ts';
import type { NeighbourElsewhere } from '../plan/facts.ts';

/** @param known containers of which the caller knows otherwise. */
export async function findNeighboursElsewhere(
  view: KernelView,
  known: ReadonlySet<string>,
): Promise<readonly NeighbourElsewhere[]> {
  const found = (await view.links()).flatMap(({ alias, master }) => {
    const container = containerOfOwner(alias);
    if (container === undefined || known.has(container) || master === undefined) return [];
    return [{ container, link: master }];
  });
  if (found.length === 0) return [];
  const sets = (await view.nftTable(NFT_TABLE))?.sets;
  const isIn = (set: string, container: string): boolean =>
    sets?.get(set)?.some(({ comment }) => comment === ownerOf(container)) === true;
  // One without any element is being made, or has lost the table: it may have IPv6.
  return found.map((one) => ({
    ...one,
    hasIpv6: isIn('members6', one.container) || !isIn('members', one.container),
  }));
}
