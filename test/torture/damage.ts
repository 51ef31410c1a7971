// Records of a container, finished or cut short by a kill, are cut off, changed in one byte, overwritten or deleted: `down`,
// `gc` and `apply` have to find their way by what is on the host, and never take away what is not theirs.
import fs from 'node:fs';
import path from 'node:path';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign } from './campaign.ts';
import { isUp, required } from './kill.ts';
import type { Random } from './random.ts';
import { findResidue, mustSucceed, playRounds, writeBoth } from './scene.ts';
import { strike } from './strike.ts';

export const RECORDS: Campaign = {
  name: 'records',
  title:
    'records cut off at a random byte, changed in one, overwritten or deleted, after an `apply` or a killed one',
  rounds: 40,
  run: async (setting) => {
    const { random } = setting;
    const { ledger } = setting;
    await playRounds(setting, ledger, prepare, async (scene) => {
      const { host } = scene;
      const { one } = writeBoth(host, 'web');
      if (random.oneIn(3))
        await strike(host, () => host.startRunspec('apply', one.file), {
          random,
          victims: 'tool',
          within: 400,
        });
      else await required(mustSucceed(host, 'apply', one.file));
      const damaged = damage(host, one.name, random);
      const way = random.pick(['down', 'gc', 'apply'] as const);
      const failures: string[] = [];
      if (way === 'gc') failures.push(...(await mustSucceed(host, 'gc')));
      if (way === 'apply')
        failures.push(...(await mustSucceed(host, 'apply', one.file)), ...(await isUp(host, one)));
      failures.push(...(await mustSucceed(host, 'down', '--volumes', one.name)));
      // A record that was cut short may be of a container that nobody names any more.
      failures.push(...(await mustSucceed(host, 'gc')));
      if (damaged === undefined && failures.length === 0) return undefined;
      const label = `${damaged ?? 'nothing to damage'}, then ${way}`;
      return { label, outcome: { failures, residue: await findResidue(scene) } };
    });
  },
};

/** What nobody could know when every record is lost is there before: ip_forward, and the mount for namespaces. */
async function prepare(host: TestHost): Promise<void> {
  await host.output([
    'sh',
    '-euc',
    'echo 1 >/proc/sys/net/ipv4/ip_forward; ip netns add other; ip netns delete other',
  ]);
  const { one } = writeBoth(host, 'web');
  await required(mustSucceed(host, 'apply', one.file));
  await required(mustSucceed(host, 'down', '--volumes', one.name));
}

/** @returns what was done, for people; undefined when there was no record. */
function damage(host: TestHost, name: string, random: Random): string | undefined {
  const folder = path.join(host.dataDir, 'containers', name);
  const own = ['plan.json', 'pending.json', 'journal.jsonl', 'process.json'].map((file) =>
    path.join(folder, file),
  );
  const files = [...own, path.join(host.dataDir, 'shared.json')].filter((file) => fs.existsSync(file));
  if (files.length === 0) return undefined;
  const chosen = random.oneIn(3) ? files : [random.pick(files)];
  return chosen.map((file) => `${path.basename(file)} ${damageFile(file, random)}`).join(' and ');
}

function damageFile(file: string, random: Random): string {
  const bytes = fs.readFileSync(file);
  const at = random.below(Math.max(1, bytes.length));
  switch (random.pick(['cut', 'change', 'overwrite', 'delete'] as const)) {
    case 'cut':
      fs.truncateSync(file, at);
      return `cut off after ${at} of ${bytes.length} bytes`;
    case 'change':
      bytes[at] = random.below(256);
      fs.writeFileSync(file, bytes);
      return `with byte ${at} of ${bytes.length} set to ${bytes[at]}`;
    case 'overwrite':
      fs.writeFileSync(file, Buffer.from(Array.from(bytes, () => random.below(256))));
      return 'overwritten';
    case 'delete':
      fs.rmSync(file);
      return 'deleted';
  }
}
