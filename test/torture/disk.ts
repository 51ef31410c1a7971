// A data folder with a few kilobytes left, from none to enough: `apply` either works or is rolled back with a clear error;
// `down` works, or does once there is room again.
import path from 'node:path';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign } from './campaign.ts';
import { isUp, required } from './kill.ts';
import { findResidue, mustSucceed, playRounds, shorten, writeBoth } from './scene.ts';

const PAGE = 4096;
const MOST_PAGES = 24;

export const FULL_DISK: Campaign = {
  name: 'full-disk',
  title: '`apply` and `down` with 0 to 96 KiB left for records, logs and layers',
  rounds: 30,
  run: async (setting) => {
    const { random, rounds } = setting;
    const { ledger } = setting;
    await playRounds(setting, ledger, prepare, async (scene, number) => {
      const { host } = scene;
      const { one } = writeBoth(host, 'web');
      const pages = Math.floor(((number - 1) * (MOST_PAGES + 1)) / rounds);
      const operation = random.pick(['apply', 'down'] as const);
      if (operation === 'down') await required(mustSucceed(host, 'apply', one.file));
      const label = `${operation} with ${pages} pages left`;
      await fill(host, pages);
      const args = operation === 'apply' ? ['apply', one.file] : ['down', '--volumes', one.name];
      const { status, stdout, stderr } = await host.runspec(...args);
      await empty(host);
      const failures: string[] = [];
      ledger.count(`${operation} ${status === 0 ? 'worked' : 'failed'}`);
      if (status !== 0 && (status !== 1 || !/no space left|disk is full/i.test(stderr)))
        failures.push(`it ended with ${status}: ${shorten(stderr || stdout)}`);
      // Rolled back: nothing waits for a `down`.
      const rolledBack = operation === 'apply' && status !== 0 ? await findResidue(scene) : [];
      if (operation === 'apply' && status === 0) failures.push(...(await isUp(host, one)));
      failures.push(...(await mustSucceed(host, 'down', '--volumes', one.name)));
      return {
        label,
        outcome: { failures, residue: rolledBack.length > 0 ? rolledBack : await findResidue(scene) },
      };
    });
  },
};

/** A file system of its own below the data folder, with the layers in it. */
async function prepare(host: TestHost): Promise<void> {
  await host.output(['mount', '-t', 'tmpfs', '-o', 'size=96m,mode=711', 'tmpfs', host.dataDir]);
  const { one } = writeBoth(host, 'web');
  await required(mustSucceed(host, 'apply', one.file));
  await required(mustSucceed(host, 'down', '--volumes', one.name));
}

const fillerOf = (host: TestHost): string => path.join(host.dataDir, 'filler');

const ATTEMPTS = 10;

/** A container that is up writes meanwhile: what was free a moment ago may not be. */
async function fill(host: TestHost, pages: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const free = await host.output(['df', '--output=avail', '-B1', host.dataDir]);
    const size = Number(free.trim().split('\n')[1]) - pages * PAGE;
    if (size <= 0) return;
    try {
      await host.output(['fallocate', '--length', String(size), fillerOf(host)]);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

async function empty(host: TestHost): Promise<void> {
  await host.output(['rm', '-f', fillerOf(host)]);
}
