// Makes a bridge of runspec's own, and takes that of a runspec with another data folder which was faster: each has its
// own lock. docs/network.md, "Two data folders".
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readLinks, type LinkState } from '../host/kernel-view.ts';
import { macOf } from '../load/addresses.ts';
import { isGlobal } from '../load/ipv6.ts';
import { OURS } from '../names.ts';
import type { BridgeStep } from '../plan/plan.ts';
import { addAddress, lines, linkLocalOf } from './host-link.ts';

/** How long the other runspec may take from the first of its lines to the last; it takes a few milliseconds. */
const SET_UP = { tries: 20, interval: 50 };

/**
 * @returns the links of the host when the bridge is another runspec's; undefined when it is new.
 * @throws OperationError when it has another network, or is nobody's known.
 */
export async function createBridge(host: Host, step: BridgeStep): Promise<readonly LinkState[] | undefined> {
  for (let tries = SET_UP.tries; ; tries -= 1) {
    const cause = await tryCreate(host, step);
    if (cause === undefined) return undefined;
    const links = await readLinks(host);
    const link = links.find((one) => one.name === step.name);
    // The alias comes after the bridge, then its addresses, and last it goes up. A kill may have cut that short.
    if (link?.alias === OURS && (link.up || tries === 0)) {
      expectNetwork(link, step);
      return links;
    }
    if (tries === 0) throw cause;
    await host.sleep(SET_UP.interval);
  }
}

/** @returns the refusal if there is such a link already: `link add` is the first line. */
async function tryCreate(host: Host, step: BridgeStep): Promise<OperationError | undefined> {
  try {
    await runChecked(host, ['ip', '-batch', '-'], { stdin: lines(createLines(step)) });
    return undefined;
  } catch (error) {
    if (error instanceof OperationError && /File exists/.test(error.command?.stderr ?? '')) return error;
    throw error;
  }
}

function expectNetwork({ name, addresses }: LinkState, step: BridgeStep): void {
  for (const wanted of addressesOf(step)) {
    const family = wanted.includes(':') ? 'inet6' : 'inet';
    const found = addresses
      .filter((one) => one.family === family && (family === 'inet' || isGlobal(one.address)))
      .map(({ address, prefix }) => `${address}/${prefix}`);
    // A bridge without addresses of the family gets ours.
    if (found.length === 0 || found.includes(wanted)) continue;
    throw new OperationError(
      `another runspec has just made ${name} with the address ${found.join(', ')}, not ${wanted}`,
      { hint: 'use its subnet and gateway, or another network.bridge' },
    );
  }
}

export function addressesOf(step: BridgeStep): readonly string[] {
  return [step.address, ...(step.address6 === undefined ? [] : [step.address6])];
}

export function createLines(step: BridgeStep): readonly string[] {
  return [
    // A fixed MAC address: otherwise the bridge takes the lowest of its ports' and changes it as they come and go.
    `link add ${step.name} address ${macOf(step.address)} mtu ${step.mtu} type bridge`,
    `link set dev ${step.name} alias ${OURS}`,
    ...withLinkLocal(step, macOf(step.address)).map((one) => addAddress(one, step.name)),
    `link set dev ${step.name} up`,
  ];
}

export function withLinkLocal(step: BridgeStep, mac: string): readonly string[] {
  return [step.address, ...(step.address6 === undefined ? [] : [linkLocalOf(mac), step.address6])];
}
