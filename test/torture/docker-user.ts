// kill -9 beside a running dockerd whose FORWARD policy is to drop, while runspec is at work on the chain DOCKER-USER: after
// `down`, or `gc` without any record, the rules of both kinds of tools are to the letter what they were.
import { placeDockerd, listRules } from '../support/dockerd.ts';
import fs from 'node:fs';
import path from 'node:path';
import { removeUnderWork } from '../support/remove-under-work.ts';
import { SPECS, WAIT, writeSpec, type PlacedSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign } from './campaign.ts';
import { isUp, required } from './kill.ts';
import { findResidue, mustSucceed, playRounds } from './scene.ts';
import { strike } from './strike.ts';

export const DOCKER_USER: Campaign = {
  name: 'docker-user',
  title:
    '`kill -9` beside a running dockerd with FORWARD policy DROP, while `apply` or `down` has `iptables` at work on DOCKER-USER',
  rounds: 20,
  run: async (setting) => {
    const { random } = setting;
    const { ledger } = setting;
    let rules = '';
    const prepare = async (host: TestHost): Promise<void> => {
      const dockerd = await placeDockerd(host, `${SPECS}/docker`);
      await dockerd.start();
      await host.output(['iptables', '-w', '-P', 'FORWARD', 'DROP']);
      // What nobody could know when the records are lost is there before, as Docker's ip_forward is.
      await host.output(['sh', '-euc', 'ip netns add other; ip netns delete other']);
      for (const spec of writeSpecs(host)) {
        await required(mustSucceed(host, 'apply', spec.file));
        await required(mustSucceed(host, 'down', spec.name));
      }
      rules = await listRules(host);
    };
    await playRounds(setting, ledger, prepare, async (scene) => {
      const { host } = scene;
      const spec = random.pick(writeSpecs(host));
      const operation = random.pick(['apply', 'down'] as const);
      const victims = random.pick(['tool', 'tree', 'child'] as const);
      if (operation === 'down') await required(mustSucceed(host, 'apply', spec.file));
      const start = () =>
        operation === 'apply' ? host.startRunspec('apply', spec.file) : host.startRunspec('down', spec.name);
      const once = random.oneIn(4) ? /^iptables$/ : /^iptables-rest/;
      const { killed } = await strike(host, start, { random, victims, within: 8, once });
      const failures: string[] = [];
      const way = random.pick(['down', 'apply', 'gc'] as const);
      if (way === 'apply')
        failures.push(...(await mustSucceed(host, 'apply', spec.file)), ...(await isUp(host, spec)));
      if (way === 'gc') {
        await forget(host, spec);
        failures.push(...(await mustSucceed(host, 'gc')));
      }
      failures.push(...(await mustSucceed(host, 'down', spec.name)));
      if (killed === undefined && failures.length === 0) return undefined;
      const residue = [...(await findResidue(scene))];
      if ((await listRules(host)) !== rules) residue.push('~ nft rules not as before to the letter');
      return {
        label: `${operation}, killed ${killed ?? 'nothing'}, then ${way}`,
        outcome: { failures, residue },
      };
    });
  },
};

/** On a bridge, whose chain is shared, and with a link of its own, whose chain is its own. */
function writeSpecs(host: TestHost): readonly PlacedSpec[] {
  const process = { args: WAIT, stopTimeout: '2s' };
  return [
    { bridge: 'tort0', subnet: '10.71.0.0/24', ports: ['8080:80'] },
    { mode: 'veth', subnet: '10.75.0.0/24', ports: ['8081:80'] },
  ].map((network, index) => writeSpec(host, `beside-${index}`, { process, network }));
}

async function forget(host: TestHost, { name }: PlacedSpec): Promise<void> {
  await removeUnderWork(path.join(host.dataDir, 'containers', name));
  fs.rmSync(path.join(host.dataDir, 'shared.json'), { force: true });
}
