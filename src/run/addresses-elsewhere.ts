// Addresses that no record here tells of, because their containers are of other data folders or their records are lost:
// read from the elements of the firewall. Reads only.
import type { KernelView } from '../host/kernel-view.ts';
import { containerOfOwner, NFT_TABLE } from '../names.ts';
import type { AddressElsewhere } from '../plan/facts.ts';

/** The nft sets that every container with a network is in, with its address as the key. */
const SETS = ['members', 'members6'] as const;

/** @param known containers whose addresses the caller knows otherwise. */
export async function findAddressesElsewhere(
  view: KernelView,
  known: ReadonlySet<string>,
): Promise<readonly AddressElsewhere[]> {
  const sets = (await view.nftTable(NFT_TABLE))?.sets;
  return SETS.flatMap((set) =>
    (sets?.get(set) ?? []).flatMap(({ key, comment }): readonly AddressElsewhere[] => {
      const container = containerOfOwner(comment);
      return container === undefined || known.has(container) ? [] : [{ address: key, container }];
    }),
  );
}
