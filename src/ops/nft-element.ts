// One element of a set or map of the table `inet runspec`: a published port, a masqueraded address, a bridge.
import { commandError } from '../host/commands.ts';
import { runNft, tryNft } from '../host/nft.ts';
import type { NftElementStep } from '../plan/plan.ts';
import type { Op } from './op.ts';
import { hereDocument } from './shell.ts';

export const nftElement: Op<'nft-element'> = {
  describe: (step) => `nft ${step.set} { ${step.key}${step.value === undefined ? '' : ` : ${step.value}`} }`,

  async probe({ view }, step) {
    const elements = (await view.nftTable(step.table))?.sets.get(step.set) ?? [];
    const found = elements.find((element) => element.key === step.key);
    if (found === undefined) return { state: 'absent' };
    if (found.value === step.value && found.comment === step.comment) return { state: 'present', owned: true };
    return {
      state: 'drifted',
      inPlace: true,
      differences: [
        { property: step.key, wanted: `${step.value ?? ''} ${step.comment}`.trim(), found: `${found.value ?? ''} ${found.comment ?? ''}`.trim() },
      ],
    };
  },

  async apply({ host }, step) {
    await runNft(host, addScript(step));
  },

  // One transaction: no packet meets the map without the element.
  async update({ host }, step) {
    await runNft(host, deleteScript(step) + addScript(step));
  },

  async revert({ host, view }, step) {
    const elements = (await view.nftTable(step.table))?.sets.get(step.set) ?? [];
    const found = elements.find((element) => element.key === step.key);
    if (found === undefined) return { outcome: 'gone' };
    if (found.comment !== step.comment) return { outcome: 'kept', reason: `it belongs to ${found.comment ?? 'someone else'}` };
    const result = await tryNft(host, deleteScript(step));
    if (result.status === 0) return { outcome: 'removed' };
    if (/No such file or directory/.test(result.stderr)) return { outcome: 'gone' };
    throw commandError(`cannot delete ${step.key} from ${step.set}`, result);
  },

  toShell: (step) => hereDocument(['nft', '-f', '-'], addScript(step)),
};

function addScript(step: NftElementStep): string {
  const value = step.value === undefined ? '' : ` : ${step.value}`;
  return `add element inet ${step.table} ${step.set} { ${step.key} comment "${step.comment}"${value} }\n`;
}

function deleteScript(step: NftElementStep): string {
  return `delete element inet ${step.table} ${step.set} { ${step.key} }\n`;
}
