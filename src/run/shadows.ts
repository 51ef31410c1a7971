// What stands before things of ours, so that they are there and yet nothing reaches them: an earlier rule for
// a published port, a host address that is gone, a route that leads a container's address elsewhere, a mount over one of
// ours. Reads only;
// nothing here can be repaired by runspec, as it belongs to others.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { asList, parseJson, text } from '../host/json-fields.ts';
import { readEarlierNat, type NatRule, type Published } from '../host/nat-rules.ts';
import type { MountState } from '../host/kernel-view.ts';
import { lookUpMount } from '../host/mount-lookup.ts';
import { isOwned, netnsFile } from '../names.ts';
import type { OpContext } from '../ops/op.ts';
import type { AddressStep, Step } from '../plan/plan.ts';

/**
 * By the id of the step; steps without any are left out.
 * @param warn is told what others have written that cannot be read: nothing is known of that then.
 */
export async function findShadows(
  context: OpContext,
  steps: readonly Step[],
  warn: (text: string) => void,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const ports = steps.flatMap((step) => (publishedPort(step) === undefined ? [] : [step]));
  const nat = ports.length === 0 ? [] : await readNat(context.host, warn);
  const mounts = await context.view.mounts();
  const found = new Map<string, readonly string[]>();
  for (const step of steps) {
    const shadows = [
      ...shadowingRules(step, nat),
      ...(await missingAddress(context, step)),
      ...shadowingMounts(step, mounts),
      ...(step.op === 'address' ? await shadowingRoutes(context, steps, step) : []),
    ];
    if (shadows.length > 0) found.set(step.id, shadows);
  }
  return found;
}

async function readNat(host: Host, warn: (text: string) => void): Promise<readonly NatRule[]> {
  try {
    return await readEarlierNat(host);
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    warn(`warning: whether a rule of others takes published ports cannot be told: ${error.message}`);
    return [];
  }
}

function shadowingRules(step: Step, rules: readonly NatRule[]): readonly string[] {
  const port = publishedPort(step);
  if (port === undefined) return [];
  return rules.filter((rule) => rule.catches(port)).map((rule) => rule.text);
}

/** The host address on which the step publishes a port, when the host no longer has it. */
async function missingAddress({ view }: OpContext, step: Step): Promise<readonly string[]> {
  if (publishedPort(step) === undefined || step.op !== 'nft-element') return [];
  const words = step.key.split(' . ');
  const [address = ''] = words;
  if (words.length < 3 || address.startsWith('127.')) return [];
  const links = await view.links();
  const isThere = links.some((link) => link.addresses.some((one) => one.address === address));
  return isThere ? [] : [`${address} is no address of this host any more`];
}

/** The last two words of a key are protocol and port, whatever address comes first; the family is the map's. */
function publishedPort(step: Step): Published | undefined {
  if (step.op !== 'nft-element') return undefined;
  const found = /(?:^| )(tcp|udp) \. (\d+)$/.exec(step.key);
  if (found === null) return undefined;
  const family = step.set.startsWith('ports6') ? 'ipv6' : 'ipv4';
  return { family, protocol: found[1] ?? '', port: Number(found[2]) };
}

/** A mount over runspec's own, which is still in the mount table, while its path leads to the other one. */
function shadowingMounts(step: Step, mounts: readonly MountState[]): readonly string[] {
  const path =
    step.op === 'overlay'
      ? step.target
      : step.op === 'private-mount'
        ? step.path
        : step.op === 'netns'
          ? netnsFile(step.name)
          : undefined;
  if (path === undefined) return [];
  // The table lists mounts at one place in the order in which they were made, so the first is the lowest.
  const own = mounts.find(({ target }) => target === path);
  const top = lookUpMount(mounts, path);
  if (own === undefined || top === undefined || top.id === own.id) return [];
  return [`${top.type} of ${top.source} mounted over it at ${top.target}`];
}

/** The routes and rules by which packets from the host to the container's addresses go elsewhere. */
async function shadowingRoutes(
  { host, view }: OpContext,
  steps: readonly Step[],
  { address, address6 }: AddressStep,
): Promise<readonly string[]> {
  const links = steps.flatMap((step) =>
    step.op === 'bridge' ? [step.name] : step.op === 'veth' ? [step.link] : [],
  );
  const targets = [address, address6].filter((one) => one !== undefined);
  const step = steps.find((one) => one.op === 'bridge');
  const bridge = await view.link(step?.name ?? '');
  // A route goes with its address, and a bridge that has lost that has drifted.
  const foreign = (target: string): string | undefined => {
    const wanted = target.includes(':') ? step?.address6 : step?.address;
    const isThere = bridge?.addresses.some((one) => `${one.address}/${one.prefix}` === wanted);
    return isThere === true && !isOwned(bridge?.alias) ? bridge?.name : undefined;
  };
  return (
    await Promise.all(targets.map((target) => shadowingRoute(host, links, target, foreign(target))))
  ).flat();
}

async function shadowingRoute(
  host: Host,
  links: readonly string[],
  address: string,
  foreign: string | undefined,
): Promise<readonly string[]> {
  const [target = '', prefix] = address.split('/');
  const isOurs = (route: Route): boolean => route.dev !== undefined && links.includes(route.dev);
  const result = await host.run(['ip', '-j', 'route', 'get', 'fibmatch', target]);
  const [route] = result.status === 0 ? parseRoutes(result.stdout) : [];
  if (route !== undefined && isOurs(route)) return [];
  const isWider = route === undefined || prefixOf(route.dst) < Number(prefix);
  // When only a wider route answers, such as the default route, or none does, either the connected route is gone, or it
  // is in its table, and a rule leads elsewhere. Gone it is drift, except on a foreign bridge, which is not ours to mend.
  if (isWider && !(await listMainRoutes(host, target)).some(isOurs))
    return foreign === undefined ? [] : [`the host has no route to ${address} by ${foreign} any more`];
  if (route === undefined) return [`the host's rules (ip rule) do not let ${target} be reached`];
  const way = route.dev === undefined ? (route.type ?? 'nowhere') : `by ${route.dev}`;
  const which = isWider ? "the host's rules (ip rule) and the route" : "the host's route";
  return [`${which} ${route.dst ?? 'default'} leads ${target} ${way}`];
}

interface Route {
  readonly dst?: string;
  readonly dev?: string;
  readonly type?: string;
}

/** Routes of the main table that match the address, whatever the rules (ip rule) say. */
async function listMainRoutes(host: Host, target: string): Promise<readonly Route[]> {
  const family = target.includes(':') ? '-6' : '-4';
  const argv = ['ip', family, '-j', 'route', 'show', 'table', 'main', 'match', target];
  return parseRoutes((await runChecked(host, argv)).stdout);
}

function parseRoutes(stdout: string): readonly Route[] {
  return asList(parseJson(stdout, 'ip')).map((route) => {
    const [dst, dev, type] = [text(route['dst']), text(route['dev']), text(route['type'])];
    return {
      ...(dst === undefined ? {} : { dst }),
      ...(dev === undefined ? {} : { dev }),
      ...(type === undefined ? {} : { type }),
    };
  });
}

/** A destination without a prefix is one address, and none at all is everything. */
function prefixOf(destination = 'default'): number {
  const [address = '', prefix] = destination.split('/');
  if (address === 'default') return 0;
  return prefix === undefined ? (address.includes(':') ? 128 : 32) : Number(prefix);
}
