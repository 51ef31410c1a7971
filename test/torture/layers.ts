// kill -9 while layers are unpacked, of host files or of an image: what is half unpacked must never be used, and after
// `image gc` the store must hold nothing that it did not hold before.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { writeLayout } from '../support/oci-layout.ts';
import { makeRootfs } from '../support/small-rootfs.ts';
import { listFiles } from '../support/snapshot-files.ts';
import { SPECS, WAIT, writeSpec, type PlacedSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign } from './campaign.ts';
import { isUp, required } from './kill.ts';
import { findResidue, mustSucceed, playRounds } from './scene.ts';
import { strike } from './strike.ts';

const PROGRAMS = ['/usr/bin/perl', '/usr/bin/env', '/bin/sh'];

export const LAYERS: Campaign = {
  name: 'layers',
  title: '`kill -9` during an `apply` whose layers are not unpacked yet, of host files or of an OCI image',
  rounds: 25,
  run: async (setting) => {
    const { random } = setting;
    const { ledger } = setting;
    let store: readonly string[] = [];
    let specs: readonly PlacedSpec[] = [];
    let duration = 500;
    const prepare = async (host: TestHost): Promise<void> => {
      specs = [writeSpec(host, 'files'), await writeImageSpec(host)];
      for (const spec of specs) {
        const started = performance.now();
        await required(mustSucceed(host, 'apply', spec.file));
        duration = performance.now() - started;
        await required(mustSucceed(host, 'down', spec.name));
      }
      await required(mustSucceed(host, 'image', 'gc'));
      store = listStore(host);
    };
    await playRounds(setting, ledger, prepare, async (scene) => {
      const { host } = scene;
      const spec = random.pick(specs);
      const victims = random.pick(['tool', 'tree', 'child'] as const);
      const aim = { random, victims, within: duration };
      const { killed } = await strike(host, () => host.startRunspec('apply', spec.file), aim);
      const failures: string[] = [];
      const again = random.oneIn(2);
      if (again) failures.push(...(await mustSucceed(host, 'apply', spec.file)), ...(await isUp(host, spec)));
      failures.push(...(await mustSucceed(host, 'down', spec.name)));
      failures.push(...(await mustSucceed(host, 'image', 'gc')));
      if (killed === undefined && failures.length === 0) return undefined;
      const left = listStore(host).filter((line) => !store.includes(line));
      const residue = [...(await findResidue(scene)), ...left.map((line) => `+ file ${line}`)];
      const label = `${path.basename(spec.file)}, killed ${killed ?? 'nothing'}, then ${again ? 'apply' : 'down'}`;
      return { label, outcome: { failures, residue } };
    });
  },
};

const listStore = (host: TestHost): readonly string[] =>
  listFiles(`/proc/${host.pid}/root`, path.join(host.dataDir, 'images'), []);

async function writeImageSpec(host: TestHost): Promise<PlacedSpec> {
  const rootfs = await makeRootfs(host, `${SPECS}/rootfs`, PROGRAMS);
  host.write(`${SPECS}/upper/srv/text`, 'hello\n');
  const tar = (folder: string): Buffer =>
    execFileSync('tar', ['--create', '--directory', folder, '.'], { maxBuffer: 2 ** 28 });
  const layers = [rootfs, path.join(host.folder, SPECS, 'upper')].map((folder) => ({ tar: tar(folder) }));
  writeLayout(path.join(host.folder, SPECS, 'layout'), 'v1', { layers, config: { Cmd: WAIT } });
  return writeSpec(host, 'image', {
    rootfs: { image: 'oci:./layout:v1' },
    layers: [],
    process: { stopTimeout: '2s' },
  });
}
