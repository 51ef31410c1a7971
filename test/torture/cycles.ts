// Containers come and go in a subnet that is nearly full: addresses are found again, never given twice, and
// do not run out.
import { writeSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign } from './campaign.ts';
import { findResidue, mustSucceed, withScene } from './scene.ts';

/** 13 addresses besides the gateway's. */
const SUBNET = '10.72.0.0/28';
/** How many are held by containers that stay. */
const STAYING = 10;
/** As many as addresses are free: there is not one to spare. */
const LANES = 3;
/** Looking at all of them takes as long as an apply. */
const LOOK_EVERY = 10;

export const CYCLES: Campaign = {
  name: 'cycles',
  title: 'cycles of `apply` and `down` in a /28 that has 3 addresses left, three at a time',
  rounds: 1000,
  run: (setting) => {
    const { rounds, say } = setting;
    const { ledger } = setting;
    const network = { bridge: 'cycle0', subnet: SUBNET, ports: [] };
    return withScene(noPreparation, async (scene) => {
      const { host } = scene;
      const stay = Array.from({ length: STAYING }, (_, index) =>
        writeSpec(host, `stay-${index}`, { network }),
      );
      const failures = await mustSucceed(host, 'apply', ...stay.map((spec) => spec.file));
      if (failures.length > 0) throw new Error(failures.join('\n'));
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < rounds) {
          const number = (next += 1);
          // Never a name that was there before: what a former one left would be in the way of nobody else.
          const spec = writeSpec(host, `cycle-${number}`, { network });
          const wrong = [...(await mustSucceed(host, 'apply', spec.file))];
          if (number % LOOK_EVERY === 0) wrong.push(...(await findDoubles(host)));
          wrong.push(...(await mustSucceed(host, 'down', spec.name)));
          ledger.enter(`cycle ${number}`, { failures: wrong, residue: [] });
          if (number % 100 === 0) say(`${number} of ${rounds}`);
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      const last = await mustSucceed(host, 'down', '--all');
      ledger.enter('at the end', { failures: last, residue: await findResidue(scene) });
    });
  },
};

async function noPreparation(): Promise<void> {}

async function findDoubles(host: TestHost): Promise<readonly string[]> {
  const { stdout } = await host.runspec('ps', '--json');
  const rows = JSON.parse(stdout) as readonly { readonly address: string | null }[];
  const addresses = rows.flatMap(({ address }) => (address === null ? [] : [address]));
  return addresses
    .filter((address, index) => addresses.indexOf(address) !== index)
    .map((address) => `address ${address} was given twice`);
}
