// A bridge of runspec's own, or a foreign one to join. Ours carries the alias `runspec`; it goes with
// its last port, a foreign one is never changed beyond what joining needs and never removed.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readLinks, type LinkState } from '../host/kernel-view.ts';
import type { BridgeStep } from '../plan/plan.ts';
import type { Before, Difference, Op } from './op.ts';
import { quote } from './shell.ts';

export const BRIDGE_ALIAS = 'runspec';

export const bridge: Op<'bridge'> = {
  describe: (step) => `bridge ${step.name} ${step.address}`,

  async probe({ host, view }, step) {
    const link = await view.link(step.name);
    if (link === undefined) return { state: 'absent' };
    if (link.kind !== 'bridge') {
      throw new OperationError(`${step.name} is ${link.kind ?? 'a device'}, not a bridge`, {
        hint: 'choose another network.bridge',
      });
    }
    const differences = [
      ...differencesOf(link, step),
      ...(await routeDifference(host.readText(routeLocalnet(step.name)))),
    ];
    return differences.length === 0
      ? { state: 'present', owned: link.alias === BRIDGE_ALIAS }
      : { state: 'drifted', differences, inPlace: true };
  },

  async before({ host, view }, step) {
    const link = await view.link(step.name);
    if (link === undefined || link.alias === BRIDGE_ALIAS) return { existed: false };
    const localnet = (await host.readText(routeLocalnet(step.name)))?.trim() ?? '0';
    return { existed: true, addresses: showAddresses(link), wasUp: link.up, localnet };
  },

  async apply({ host, view }, step, before) {
    // What was not there a moment ago, ip itself refuses to make twice.
    const absent = (await view.link(step.name)) === undefined;
    const link = absent ? undefined : (await readLinks(host)).find((one) => one.name === step.name);
    // A kill between making it and naming it leaves ours without its alias.
    const nameless = link !== undefined && link.alias === undefined && before['existed'] === false;
    const claim = nameless ? [`link set dev ${step.name} alias ${BRIDGE_ALIAS}`] : [];
    const wanted = link === undefined ? createLines(step) : [...claim, ...mendLines(link, step)];
    if (wanted.length > 0) await runChecked(host, ['ip', '-batch', '-'], { stdin: lines(wanted) });
    await host.writeInPlace(routeLocalnet(step.name), '1');
  },

  async update(context, step, former, before) {
    await bridge.apply(context, step, before);
    if (former.address === step.address || wasThere(before, former.address)) return;
    // Its route would go on leading the former subnet here.
    const link = (await readLinks(context.host)).find((one) => one.name === step.name);
    if (link !== undefined && hasAddress(link, former)) await runChecked(context.host, removeAddress(former));
  },

  async revert({ host }, step, before) {
    const links = await readLinks(host);
    const link = links.find((one) => one.name === step.name);
    if (link === undefined) return { outcome: 'gone' };
    const ours = link.alias === BRIDGE_ALIAS || (link.alias === undefined && before['existed'] === false);
    if (before['existed'] === true || !ours) {
      await leaveForeign(host, step, link, before);
      return { outcome: 'kept', reason: 'it was there before', foreign: true };
    }
    const ports = links.filter((one) => one.master === step.name).map((one) => one.name);
    if (ports.length > 0)
      return { outcome: 'kept', reason: `it still has the ports ${ports.slice(0, 3).join(', ')}` };
    await runChecked(host, ['ip', 'link', 'del', 'dev', step.name]);
    return { outcome: 'removed' };
  },

  toShell: (step) => [
    ...createLines(step).map((line) => `ip ${line}`),
    `echo 1 > ${quote(routeLocalnet(step.name))}`,
  ],
};

/** Puts back what joining changed. */
async function leaveForeign(host: Host, step: BridgeStep, link: LinkState, before: Before): Promise<void> {
  if (before['localnet'] === '0') await host.writeInPlace(routeLocalnet(step.name), '0');
  const undone = [
    ...(before['addresses'] !== undefined && !wasThere(before, step.address) && hasAddress(link, step)
      ? [`addr del ${step.address} dev ${step.name}`]
      : []),
    ...(before['wasUp'] === false && link.up ? [`link set dev ${step.name} down`] : []),
  ];
  if (undone.length > 0) await runChecked(host, ['ip', '-batch', '-'], { stdin: lines(undone) });
}

function wasThere(before: Before, address: string): boolean {
  return String(before['addresses'] ?? '')
    .split(', ')
    .includes(address);
}

function removeAddress(step: BridgeStep): readonly string[] {
  return ['ip', 'addr', 'del', step.address, 'dev', step.name];
}

function createLines(step: BridgeStep): readonly string[] {
  return [
    // A fixed address: otherwise the bridge takes the lowest of its ports' and changes it as they come and go.
    `link add ${step.name} address ${macOf(step.address)} mtu ${step.mtu} type bridge`,
    `link set dev ${step.name} alias ${BRIDGE_ALIAS}`,
    `addr add ${step.address} dev ${step.name}`,
    `link set dev ${step.name} up`,
  ];
}

function mendLines(link: LinkState, step: BridgeStep): readonly string[] {
  return [
    ...(hasAddress(link, step) ? [] : [`addr add ${step.address} dev ${step.name}`]),
    ...(link.alias === BRIDGE_ALIAS && link.mtu !== step.mtu
      ? [`link set dev ${step.name} mtu ${step.mtu}`]
      : []),
    ...(link.up ? [] : [`link set dev ${step.name} up`]),
  ];
}

function differencesOf(link: LinkState, step: BridgeStep): readonly Difference[] {
  const wantsMtu = link.alias === BRIDGE_ALIAS && link.mtu !== step.mtu;
  return [
    ...(link.up ? [] : [{ property: 'state', wanted: 'up', found: 'down' }]),
    ...(hasAddress(link, step)
      ? []
      : [{ property: 'address', wanted: step.address, found: showAddresses(link) }]),
    ...(wantsMtu ? [{ property: 'mtu', wanted: String(step.mtu), found: String(link.mtu) }] : []),
  ];
}

// Lets packets from 127.0.0.1 be sent to a published port's container; the guard chain keeps 127.0.0.0/8 local.
async function routeDifference(text: Promise<string | undefined>): Promise<readonly Difference[]> {
  const found = (await text)?.trim();
  return found === '1' ? [] : [{ property: 'route_localnet', wanted: '1', found: found ?? 'missing' }];
}

function hasAddress(link: LinkState, step: BridgeStep): boolean {
  return link.addresses.some((one) => `${one.address}/${one.prefix}` === step.address);
}

function showAddresses(link: LinkState): string {
  return (
    link.addresses
      .filter((one) => one.family === 'inet')
      .map((one) => `${one.address}/${one.prefix}`)
      .join(', ') || 'none'
  );
}

export function routeLocalnet(link: string): string {
  return `/proc/sys/net/ipv4/conf/${link}/route_localnet`;
}

/** A locally administered MAC address made of an IPv4 address, as Docker does: `02:42` and the four bytes. */
export function macOf(address: string): string {
  const bytes = (address.split('/')[0] ?? '')
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}

export function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}
