// The way back from a container to ::1. A connection to a port published on ::1 reaches the container with another
// source; what it answers would have ::1 as its destination when it comes in by the veth, and the kernel drops that on
// every interface but lo. So it is led to lo before anything looks at it, and is translated there.
import { runNft, tryNft } from '../host/nft.ts';
import { commandError } from '../host/commands.ts';
import type { NftIngressStep } from '../plan/plan.ts';
import { fingerprint } from './nft-table.ts';
import type { Op } from './op.ts';
import { hereDocument } from './shell.ts';

const CHAIN = 'loopback';

export const nftIngress: Op<'nft-ingress'> = {
  describe: (step) => `nft table netdev ${step.table}: answers to ::1`,

  async probe({ view }, step) {
    // A table without its link catches nothing, whether it is there or not.
    if ((await view.link(step.link)) === undefined) return { state: 'absent' };
    const found = await view.nftTable(step.table, 'netdev');
    if (found === undefined) return { state: 'absent' };
    const isOurs = found.chains.get(CHAIN)?.join() === fingerprint(ruleOf(step));
    if (isOurs && !found.hasFlags) return { state: 'present' };
    const differences = [
      isOurs
        ? { property: 'flags', wanted: 'none', found: 'some, as of a dormant table' }
        : { property: `chain ${CHAIN}`, wanted: 'one rule of ours', found: 'another or none' },
    ];
    return { state: 'drifted', differences, inPlace: true };
  },

  async apply({ host }, step) {
    await runNft(host, render(step));
  },

  async update({ host }, step) {
    await runNft(host, render(step));
  },

  async revert({ host, view }, step) {
    if ((await view.nftTable(step.table, 'netdev')) === undefined) return { outcome: 'gone' };
    const result = await tryNft(host, `delete table netdev ${step.table}\n`);
    if (result.status === 0) return { outcome: 'removed' };
    if (/No such file or directory/.test(result.stderr)) return { outcome: 'gone' };
    throw commandError(`cannot delete the nft table netdev ${step.table}`, result);
  },

  toShell: (step) => hereDocument(['nft', '-f', '-'], render(step)),
};

// Only packets from the container's own address are led to lo: it cannot speak there in another's name. Packets that
// are no answers are for an address that no interface has, and go nowhere.
function ruleOf(step: NftIngressStep): string {
  const which = `ip6 saddr ${step.address} ip6 daddr ${step.loopback}`;
  return `${which} meta pkttype set host ether daddr set 00:00:00:00:00:00 fwd to "lo"`;
}

// The table is made anew in one transaction: one that has outlived its link may be left without a hook.
function render(step: NftIngressStep): string {
  const rule = ruleOf(step);
  return [
    `add table netdev ${step.table}`,
    `delete table netdev ${step.table}`,
    `table netdev ${step.table} {`,
    `  chain ${CHAIN} {`,
    `    type filter hook ingress device "${step.link}" priority 0; policy accept;`,
    `    ${rule} comment "${fingerprint(rule)}"`,
    '  }',
    '}',
    '',
  ].join('\n');
}
