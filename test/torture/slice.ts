// A few rounds of one campaign, for CI: under a fixed seed, so that what fails there can be played again.
import { openLedger, type Tally } from './campaign.ts';
import { CAMPAIGNS } from './campaigns.ts';
import { createRandom } from './random.ts';

const SEED = 1;

export async function sliceCampaign(name: string, rounds: number): Promise<Tally> {
  const campaign = CAMPAIGNS.find((one) => one.name === name);
  if (campaign === undefined) throw new Error(`there is no campaign ${name}`);
  const say = (): void => undefined;
  const ledger = openLedger({ say });
  await campaign.run({ random: createRandom(SEED, name), rounds, ledger, say });
  return ledger.tally();
}
