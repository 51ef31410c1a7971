// What stands before things of ours, so that they are there and yet nothing reaches them: an earlier rule for
// a published port, a route that leads a container's address elsewhere, a mount over one of ours. Reads only;
// nothing here can be repaired by runspec, as it belongs to others.
import type { Host } from '../host/host.ts';
import { readEarlierNat, type NatRule, type Published } from '../host/nat-rules.ts';
import type { MountState } from '../host/kernel-view.ts';
import { lookUpMount } from '../host/mount-lookup.ts';
import type { OpContext } from '../ops/op.ts';
import type { AddressStep, Step } from '../plan/plan.ts';

/** By the id of the step; steps without any are left out. */
export async function findShadows(
  context: OpContext,
  steps: readonly Step[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const ports = steps.flatMap((step) => (publishedPort(step) === undefined ? [] : [step]));
  const nat = ports.length === 0 ? [] : await readEarlierNat(context.host);
  const mounts = await context.view.mounts();
  const found = new Map<string, readonly string[]>();
  for (const step of steps) {
    const shadows = [
      ...shadowingRules(step, nat),
      ...shadowingMounts(step, mounts),
      ...(step.op === 'address' ? await shadowingRoutes(context, steps, step) : []),
    ];
    if (shadows.length > 0) found.set(step.id, shadows);
  }
  return found;
}

function shadowingRules(step: Step, rules: readonly NatRule[]): readonly string[] {
  const port = publishedPort(step);
  if (port === undefined) return [];
  return rules.filter((rule) => rule.catches(port)).map((rule) => rule.text);
}

/** The last two words of a key are protocol and port, whatever address comes first; the family is the map's. */
function publishedPort(step: Step): Published | undefined {
  if (step.op !== 'nft-element') return undefined;
  const found = /(?:^| )(tcp|udp) \. (\d+)$/.exec(step.key);
  if (found === null) return undefined;
  const family = step.set.startsWith('ports6') ? 'ipv6' : 'ipv4';
  return { family, protocol: found[1] ?? '', port: Number(found[2]) };
}

/** The mount of ours is in the table, but the path ends in another. */
function shadowingMounts(step: Step, mounts: readonly MountState[]): readonly string[] {
  const path =
    step.op === 'overlay'
      ? step.target
      : step.op === 'private-mount'
        ? step.path
        : step.op === 'netns'
          ? `/run/netns/${step.name}`
          : undefined;
  if (path === undefined) return [];
  // The first of several at one place is the lowest.
  const own = mounts.find(({ target }) => target === path);
  const top = lookUpMount(mounts, path);
  if (own === undefined || top === undefined || top.id === own.id) return [];
  return [`${top.type} of ${top.source} mounted over it at ${top.target}`];
}

/** Where the host itself would send a packet for the container, in each family. */
async function shadowingRoutes(
  { host }: OpContext,
  steps: readonly Step[],
  { address, address6 }: AddressStep,
): Promise<readonly string[]> {
  const links = steps.flatMap((step) =>
    step.op === 'bridge' ? [step.name] : step.op === 'veth' ? [step.link] : [],
  );
  const targets = [address, address6].filter((one) => one !== undefined);
  return (await Promise.all(targets.map((target) => shadowingRoute(host, links, target)))).flat();
}

async function shadowingRoute(
  host: Host,
  links: readonly string[],
  address: string,
): Promise<readonly string[]> {
  const [target = '', prefix] = address.split('/');
  const result = await host.run(['ip', '-j', 'route', 'get', 'fibmatch', target]);
  // Without any route our own is gone, which is drift of the bridge or the veth.
  if (result.status !== 0) return [];
  const [route] = JSON.parse(result.stdout) as readonly {
    readonly dst?: string;
    readonly dev?: string;
    readonly type?: string;
  }[];
  // So it is where a wider one answers, such as the default route.
  if (route !== undefined && prefixOf(route.dst) < Number(prefix)) return [];
  if (route === undefined || (route.dev !== undefined && links.includes(route.dev))) return [];
  const way = route.dev === undefined ? (route.type ?? 'nowhere') : `by ${route.dev}`;
  return [`the host's route ${route.dst ?? 'default'} leads ${target} ${way}`];
}

/** A destination without a prefix is one address, and none at all is everything. */
function prefixOf(destination = 'default'): number {
  const [address = '', prefix] = destination.split('/');
  if (address === 'default') return 0;
  return prefix === undefined ? (address.includes(':') ? 128 : 32) : Number(prefix);
}
