// SIGINT, SIGTERM, SIGHUP or a closed terminal at a random moment of apply: either it is finished, or it is rolled back by
// itself, with nothing left for `down` to do. A second signal must not make it worse. All of it is sent to the process
// group, as a terminal does.
import path from 'node:path';
import type { PlacedSpec } from '../support/specs.ts';
import type { Started, TestHost } from '../support/test-host.ts';
import { sleep, type Campaign } from './campaign.ts';
import { isUp, required } from './kill.ts';
import { descendants, hasEnded, signal } from './processes.ts';
import type { Random } from './random.ts';
import { findResidue, mustSucceed, playRounds, shorten, writeBoth } from './scene.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

/** What is promised; slower ones are counted, and only one that takes for ever is a failure: machines are busy. */
const PROMISED_MS = 2_000;
const PATIENCE_MS = 30_000;

type Way = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'terminal';

export const SIGNALS: Campaign = {
  name: 'signals',
  title: 'SIGINT, SIGTERM, SIGHUP and closed terminals during `apply`, one in four with a second signal',
  rounds: 200,
  run: async (setting) => {
    const { random } = setting;
    const { ledger } = setting;
    let duration = 500;
    const prepare = async (host: TestHost): Promise<void> => {
      const { one } = writeBoth(host, 'web');
      for (let turn = 0; turn < 2; turn += 1) {
        const started = performance.now();
        await required(mustSucceed(host, 'apply', one.file));
        duration = performance.now() - started;
        await required(mustSucceed(host, 'down', '--volumes', one.name));
      }
    };
    await playRounds(setting, ledger, prepare, async (scene) => {
      const { host } = scene;
      const { one } = writeBoth(host, 'web');
      const way = random.pick(['SIGINT', 'SIGTERM', 'SIGHUP', 'terminal'] as const);
      const moment = Math.round(random.fraction() * duration);
      const cancelled = await cancel(host, one, way, moment, random);
      const finish = async (): Promise<readonly string[]> => mustSucceed(host, 'down', '--volumes', one.name);
      if (cancelled === undefined) {
        await required(finish());
        return undefined;
      }
      const failures = [...cancelled.failures];
      if (cancelled.milliseconds > PROMISED_MS) ledger.count('slower than 2 s');
      const up = (await host.runspec('ps', '--json')).stdout.includes(one.name);
      ledger.count(up ? 'finished' : 'rolled back');
      // It was too late to stop it: then all of it must be there.
      if (up) failures.push(...(await isUp(host, one)), ...(await finish()));
      const residue = await findResidue(scene);
      if (failures.length + residue.length > 0) failures.push(`it had said: ${shorten(cancelled.said)}`);
      return { label: `${way} at ${moment} ms`, outcome: { failures, residue } };
    });
  },
};

interface Cancelled {
  /** From the signal to the end. */
  readonly milliseconds: number;
  readonly failures: readonly string[];
  /** All that it wrote; nothing where its terminal was closed. */
  readonly said: string;
}

/** @returns undefined when it had ended before the signal. */
async function cancel(
  host: TestHost,
  spec: PlacedSpec,
  way: Way,
  moment: number,
  random: Random,
): Promise<Cancelled | undefined> {
  const { started, pid } = await begin(host, spec, way);
  await sleep(moment);
  const at = performance.now();
  if (hasEnded(pid) || !signal(way === 'terminal' ? started.pid : -pid, way === 'terminal' ? 'SIGKILL' : way))
    return undefined;
  if (random.oneIn(4)) {
    await sleep(random.below(60));
    signal(-pid, random.pick(['SIGINT', 'SIGTERM', 'SIGHUP']));
  }
  while (!hasEnded(pid)) {
    if (performance.now() - at > PATIENCE_MS) {
      signal(pid, 'SIGKILL');
      const said = started.written();
      return {
        milliseconds: PATIENCE_MS,
        said,
        failures: [`it still ran ${PATIENCE_MS} ms after the signal`],
      };
    }
    await sleep(5);
  }
  const milliseconds = performance.now() - at;
  if (way === 'terminal') return { milliseconds, failures: [], said: '' };
  const { status } = await started.ended;
  const said = started.written();
  // Without a status it was hit before it had begun with anything, while Node still started.
  const expected = [null, 0, 129, 130, 143];
  return {
    milliseconds,
    said,
    failures: expected.includes(status) ? [] : [`it ended with ${status}`],
  };
}

/** script(1) gives it a terminal, which closes when script is killed. */
async function begin(
  host: TestHost,
  { file }: PlacedSpec,
  way: Way,
): Promise<{ readonly started: Started; readonly pid: number }> {
  if (way !== 'terminal') {
    const started = await host.startRunspec('apply', file);
    return { started, pid: started.pid };
  }
  const command = `exec ${process.execPath} ${CLI} apply ${file}`;
  const started = await host.start(['script', '--quiet', '--command', command, '/dev/null']);
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(2)) {
    const [pid] = descendants(started.pid);
    if (pid !== undefined) return { started, pid };
  }
  throw new Error('script(1) has not started anything');
}
