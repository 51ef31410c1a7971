// One element of a set or map of the table `inet runspec`: a published port, a masqueraded address, a bridge.
import { OperationError } from '../errors.ts';
import { commandError } from '../host/commands.ts';
import { forgetFlows } from '../host/conntrack.ts';
import type { Host } from '../host/host.ts';
import { createKernelView, type KernelView } from '../host/kernel-view.ts';
import type { NftElementState } from '../host/nft-table.ts';
import { runNft, tryNft } from '../host/nft.ts';
import { containerOfOwner } from '../names.ts';
import { LINK_SETS } from '../plan/firewall.ts';
import type { NftElementStep } from '../plan/plan.ts';
import type { Op } from './op.ts';
import { touch } from './nft-table.ts';
import { hereDocument } from './shell.ts';

export const nftElement: Op<'nft-element'> = {
  describe: (step) => `nft ${step.set} { ${step.key}${step.value === undefined ? '' : ` : ${step.value}`} }`,

  async probe({ view }, step) {
    const found = await findElement(view, step);
    if (found === undefined) return { state: 'absent' };
    if (found.value === step.value && found.comment === step.comment) return { state: 'present' };
    return {
      state: 'drifted',
      inPlace: true,
      differences: [
        {
          property: step.key,
          wanted: `${step.value ?? ''} ${step.comment}`.trim(),
          found: `${found.value ?? ''} ${found.comment ?? ''}`.trim(),
        },
      ],
    };
  },

  async apply({ host, view }, step) {
    await claim(host, step, undefined);
    await forgetDatagrams(host, view, step);
  },

  async update({ host, view }, step) {
    const found = await findElement(view, step);
    // Another container of the call may have given it up since the view was read.
    const isOthers = found !== undefined && found.comment !== step.comment;
    await claim(host, step, isOthers ? await findElement(createKernelView(host), step) : found);
    await forgetDatagrams(host, view, step);
  },

  async revert({ host, view }, step) {
    const found = await findElement(view, step);
    if (found === undefined) return { outcome: 'gone' };
    if (found.comment !== step.comment)
      return { outcome: 'kept', reason: `it belongs to ${found.comment ?? 'someone else'}` };
    const result = await tryNft(host, deleteScript(step));
    if (result.status === 0) {
      await forgetDatagrams(host, view, step);
      return { outcome: 'removed' };
    }
    if (/No such file or directory/.test(result.stderr)) return { outcome: 'gone' };
    throw commandError(`cannot delete ${step.key} from ${step.set}`, result);
  },

  toShell: (step) => hereDocument(['nft', '-f', '-'], makeScript('add', step)),
};

/**
 * Makes the element in place of `found`, in one transaction: no packet meets the map without it. `create` fails where
 * `add` would leave the element of a runspec with another data folder as it is: of two that choose one address at the
 * same time the second must not go on.
 */
async function claim(host: Host, step: NftElementStep, found: NftElementState | undefined): Promise<void> {
  refuseOthers(found, step);
  const script =
    (found === undefined ? '' : deleteScript(step)) + makeScript('create', step) + touch(step.table);
  const result = await tryNft(host, script);
  if (result.status === 0) return;
  const now = await findElement(createKernelView(host), step);
  refuseOthers(now, step);
  if (now?.value === step.value && now?.comment === step.comment) return;
  // It came or went since it was looked for, or the table did: the second try tells which.
  await runNft(
    host,
    (now === undefined ? '' : deleteScript(step)) + makeScript('create', step) + touch(step.table),
  );
}

/** @throws OperationError for an element of another container. */
function refuseOthers(found: NftElementState | undefined, step: NftElementStep): void {
  const owner = found?.comment ?? step.comment;
  if (owner === step.comment) return;
  const name = containerOfOwner(owner);
  const down = `take ${name} down with the --data-dir and --state-dir that it was applied with`;
  throw new OperationError(`${step.key} in the nft set ${step.set} belongs to ${owner}`, {
    hint:
      name === undefined
        ? `nft delete element inet ${step.table} ${step.set} '{ ${keyOf(step)} }'`
        : step.value === undefined
          ? `apply again for a free address, or name one; or ${down}`
          : `choose another host port, or ${down}`,
  });
}

/** Forgets the port's UDP flows, after the change, so that no datagram in between begins a flow of the old kind. */
async function forgetDatagrams(host: Host, view: KernelView, { set, key }: NftElementStep): Promise<void> {
  const port = /(?:^| )udp \. (\d+)$/.exec(key)?.[1];
  if (port === undefined) return;
  await forgetFlows(host, view, { family: set.startsWith('ports6') ? 'ipv6' : 'ipv4', port: Number(port) });
}

async function findElement(view: KernelView, step: NftElementStep): Promise<NftElementState | undefined> {
  const elements = (await view.nftTable(step.table))?.sets.get(step.set) ?? [];
  return elements.find((element) => element.key === step.key);
}

/** A link may have the name of a keyword (`bridge`) or begin with a digit: nft takes both in quotes only. */
function keyOf(step: NftElementStep): string {
  return LINK_SETS.has(step.set)
    ? step.key
        .split(' . ')
        .map((name) => `"${name}"`)
        .join(' . ')
    : step.key;
}

/** `create` for the kernel; `add` for a script, which finds what containers share as the one before has left it. */
function makeScript(verb: 'create' | 'add', step: NftElementStep): string {
  const value = step.value === undefined ? '' : ` : ${step.value}`;
  return `${verb} element inet ${step.table} ${step.set} { ${keyOf(step)} comment "${step.comment}"${value} }\n`;
}

function deleteScript(step: NftElementStep): string {
  return `delete element inet ${step.table} ${step.set} { ${keyOf(step)} }\n`;
}
