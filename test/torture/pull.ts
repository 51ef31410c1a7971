// kill -9 while an image is pulled from a registry, by `image pull` or by an `apply` that needs it: the next pull succeeds,
// what is run from it is whole, and after `image gc` the store holds nothing that it did not hold before.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { startRegistry } from '../support/docker-registry.ts';
import { writeLayout } from '../support/oci-layout.ts';
import { makeRootfs } from '../support/small-rootfs.ts';
import { listFiles } from '../support/snapshot-files.ts';
import { SPECS, WAIT, writeSpec, type PlacedSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign } from './campaign.ts';
import { isUp, required } from './kill.ts';
import { findResidue, mustSucceed, playRounds } from './scene.ts';
import { strike } from './strike.ts';

const PROGRAMS = ['/usr/bin/perl', '/usr/bin/env', '/bin/sh', '/bin/cat'];
const TEXT = 'pulled whole';

export const PULL: Campaign = {
  name: 'pull',
  title:
    '`kill -9` of runspec, of all it had started or of one of those during `image pull docker://…` or an `apply` that pulls',
  rounds: 30,
  run: async (setting) => {
    const { random } = setting;
    const { ledger } = setting;
    let image = { reference: '', store: [] as readonly string[], spec: NO_SPEC, duration: 500 };
    const prepare = async (host: TestHost): Promise<void> => {
      const reference = await publish(host);
      const spec = writeSpec(host, 'pulled', { rootfs: { image: reference }, layers: [], process: WAITING });
      await required(mustSucceed(host, 'apply', spec.file));
      await required(mustSucceed(host, 'down', spec.name));
      await required(empty(host, reference));
      const started = performance.now();
      await required(mustSucceed(host, 'image', 'pull', reference));
      const duration = performance.now() - started;
      await required(empty(host, reference));
      image = { reference, spec, duration, store: listStore(host) };
    };
    await playRounds(setting, ledger, prepare, async (scene) => {
      const { host } = scene;
      const { reference, spec, duration, store } = image;
      const way = random.pick(['image pull', 'apply'] as const);
      const args = way === 'apply' ? ['apply', spec.file] : ['image', 'pull', reference];
      const victims = random.pick(['tool', 'tree', 'child'] as const);
      const aim = { random, victims, within: duration };
      const { killed } = await strike(host, () => host.startRunspec(...args), aim);
      const failures: string[] = [];
      const collects = random.oneIn(3);
      if (collects) failures.push(...(await mustSucceed(host, 'image', 'gc')));
      failures.push(...(await mustSucceed(host, 'image', 'pull', reference)));
      failures.push(...(await mustSucceed(host, 'apply', spec.file)), ...(await isUp(host, spec)));
      const { stdout } = await host.runspec('exec', spec.name, '--', '/bin/cat', '/srv/text');
      if (stdout !== TEXT) failures.push(`the container reads ${JSON.stringify(stdout)}`);
      failures.push(...(await mustSucceed(host, 'down', spec.name)), ...(await empty(host, reference)));
      if (killed === undefined && failures.length === 0) return undefined;
      const left = listStore(host).filter((line) => !store.includes(line));
      const residue = [...(await findResidue(scene)), ...left.map((line) => `+ file ${line}`)];
      const label = `${way}, killed ${killed ?? 'nothing'}${collects ? ', then image gc' : ''}`;
      return { label, outcome: { failures, residue } };
    });
  },
};

const NO_SPEC: PlacedSpec = { name: '', file: '', folder: '' };
const WAITING = { args: WAIT, stopTimeout: '2s' };

/** Starts the registry of the host, which ends with it. @returns the reference of the image in it. */
async function publish(host: TestHost): Promise<string> {
  const registry = await startRegistry(host, `${SPECS}/registry`);
  const rootfs = await makeRootfs(host, `${SPECS}/rootfs`, PROGRAMS);
  host.write(`${SPECS}/upper/srv/text`, TEXT);
  const folders = [rootfs, path.join(host.folder, SPECS, 'upper')];
  const layers = folders.map((folder) => ({
    tar: execFileSync('tar', ['--create', '--directory', folder, '.'], { maxBuffer: 2 ** 28 }),
  }));
  const layout = path.join(host.folder, SPECS, 'layout');
  writeLayout(layout, 'v1', { layers, config: { Cmd: WAIT } });
  await registry.push(layout, 'v1', 'team/app:v1');
  return `docker://${registry.address}/team/app:v1`;
}

async function empty(host: TestHost, reference: string): Promise<readonly string[]> {
  const { stdout } = await host.runspec('image', 'ls', '--json');
  const isThere = stdout.includes(reference);
  const removed = isThere ? await mustSucceed(host, 'image', 'rm', reference) : [];
  return [...removed, ...(await mustSucceed(host, 'image', 'gc'))];
}

const listStore = (host: TestHost): readonly string[] =>
  listFiles(`/proc/${host.pid}/root`, path.join(host.dataDir, 'images'), []);
