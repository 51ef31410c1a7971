// Containers of other data folders, as a snapshot of the host shows them: each of their objects bears its owner's name,
// and what they share with each other is found through these. Pure.
import type { Snapshot } from '../host/snapshot.ts';
import { cgroupOf, NETNS_FOLDER, netnsOf, NFT_TABLE, ownerOf, vethName } from '../names.ts';

const NAME = '([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)';
const OWNED: Readonly<Record<string, RegExp>> = {
  link: new RegExp(`ifalias ${ownerOf(NAME)}$`),
  nft: new RegExp(`comment "${ownerOf(NAME)}"`),
  netns: new RegExp(`^${netnsOf(NAME)}$`),
  cgroup: new RegExp(`${cgroupOf(NAME)}$`),
};

/**
 * Objects of the host that every container with a network uses, of whatever data folder; and our shared.json, which
 * stays for such a container with the former state of these.
 */
const OF_THE_HOST = [
  `table inet ${NFT_TABLE}`,
  'net/ipv4/ip_forward',
  'forwarding',
  'accept_redirects',
  NETNS_FOLDER,
  '/shared.json',
];

/**
 * The words that mark the objects of each container, by its name; without those in `known`, whose records tell more.
 */
export function foreignNames(
  snapshots: readonly Snapshot[],
  known: ReadonlySet<string>,
): ReadonlyMap<string, readonly string[]> {
  const keys = (kind: string): readonly string[] =>
    snapshots.flatMap((snapshot) => (snapshot[kind] ?? []).map(({ key }) => key));
  const owners = new Set(
    Object.entries(OWNED).flatMap(([kind, owned]) => keys(kind).flatMap((key) => owned.exec(key)?.[1] ?? [])),
  );
  const found = [...owners].filter((name) => !known.has(name));
  return new Map(
    found.map((name) => {
      const link = vethName(name);
      const bridge = keys('link').flatMap((key) =>
        key.startsWith(`${link} `) ? (/ master (\S+)/.exec(key)?.[1] ?? []) : [],
      );
      const stateDir = keys('mount').flatMap(
        (key) => new RegExp(`^(/\\S+)/${name}/rootfs overlay `).exec(key)?.[1] ?? [],
      );
      const own = [ownerOf(name), netnsOf(name), cgroupOf(name), `/containers/${name}`, link];
      const isLinked = keys('link').some((key) => key.startsWith(`${link} `));
      return [name, [...own, ...bridge, ...stateDir, ...(isLinked ? OF_THE_HOST : [])]] as const;
    }),
  );
}
