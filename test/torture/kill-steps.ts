// kill -9 at one system call after the other: runspec alone is traced, and dies at its nth call that changes
// anything. Where kill.ts hits at random, this leaves no step out.
import fs from 'node:fs';
import path from 'node:path';
import { writeFullPair } from '../support/full-spec.ts';
import type { PlacedSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign, Setting } from './campaign.ts';
import { isUp, required } from './kill.ts';
import { findResidue, mustSucceed, playRounds } from './scene.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

type Operation = 'apply' | 'update' | 'down';

/** Of the main thread, which makes, writes and removes files and starts programs; others only sync and wait. */
const CHANGES = 'mkdir,rmdir,unlink,rename,symlink,fchmod,write,pwrite64,clone,clone3,fork,vfork';

export const KILL_STEPS: readonly Campaign[] = (['apply', 'update', 'down'] as const).map((operation) => ({
  name: `kill-steps-${operation}`,
  title: `\`kill -9\` at every change that ${operation === 'update' ? 'an update' : `\`${operation}\``} makes, one after the other`,
  rounds: 40,
  run: (setting) => run(setting, operation),
}));

async function run(setting: Setting, operation: Operation): Promise<void> {
  const { random, rounds } = setting;
  const { ledger } = setting;
  let calls: readonly string[] = [];
  const start = random.fraction();
  const prepare = async (host: TestHost): Promise<void> => {
    calls = await listChanges(host, operation);
  };
  await playRounds(setting, ledger, prepare, async (scene, number) => {
    const { host } = scene;
    const { one, two, down } = await begin(host, operation);
    // Spread over all of them; with as many rounds as points, each once.
    const point = Math.floor(((number - 1) / rounds + start) * calls.length) % calls.length;
    const args = { apply: ['apply', one.file], update: ['apply', two.file], down }[operation];
    const killed = await killAt(host, args, calls.slice(0, point + 1));
    if (!killed) {
      await required(mustSucceed(host, ...down));
      return undefined;
    }
    const failures: string[] = [];
    const way = random.pick(['down', 'apply', 'gc'] as const);
    if (way === 'gc') failures.push(...(await mustSucceed(host, 'gc')));
    if (way === 'apply')
      failures.push(...(await mustSucceed(host, 'apply', one.file)), ...(await isUp(host, one)));
    failures.push(...(await mustSucceed(host, ...down)));
    const outcome = { failures, residue: await findResidue(scene) };
    return {
      label: `killed at change ${point + 1} of ${calls.length} (${calls[point]}), then ${way}`,
      outcome,
    };
  });
}

interface Begun {
  readonly one: PlacedSpec;
  readonly two: PlacedSpec;
  readonly down: readonly string[];
}

async function begin(host: TestHost, operation: Operation): Promise<Begun> {
  const { one, two } = await writeFullPair(host);
  const down = ['down', '--volumes', one.name];
  if (operation !== 'apply') await required(mustSucceed(host, 'apply', one.file));
  return { one, two, down };
}

/** Names of the calls that an undisturbed one makes, in order. */
async function listChanges(host: TestHost, operation: Operation): Promise<readonly string[]> {
  const { one, two, down } = await begin(host, operation);
  // Layers are in the store from here on.
  await required(mustSucceed(host, 'apply', two.file));
  await required(mustSucceed(host, ...down));
  if (operation !== 'apply') await required(mustSucceed(host, 'apply', one.file));
  const args = { apply: ['apply', one.file], update: ['apply', two.file], down }[operation];
  const log = host.write('specs/calls', '');
  const tracer = ['strace', '-qq', '-e', `trace=${CHANGES}`, '-e', 'signal=none', '-o', log];
  const { status, stderr } = await host.exec([...tracer, process.execPath, CLI, ...args]);
  if (status !== 0) throw new Error(`the traced ${operation} ended with ${status}: ${stderr}`);
  await required(mustSucceed(host, ...down));
  return fs
    .readFileSync(log, 'utf8')
    .split('\n')
    .flatMap((line) => /^(\w+)\(/.exec(line)?.[1] ?? []);
}

/** Kills at the last of the calls, which strace counts by name. @returns whether it came to that. */
async function killAt(host: TestHost, args: readonly string[], calls: readonly string[]): Promise<boolean> {
  const last = calls.at(-1) ?? '';
  const inject = `inject=${last}:signal=SIGKILL:when=${calls.filter((call) => call === last).length}`;
  const tracer = ['strace', '-qq', '-e', `trace=${last}`, '-e', inject, '-o', '/dev/null'];
  const { status } = await host.exec([...tracer, process.execPath, CLI, ...args]);
  // strace ends as what it traced did.
  return status === undefined || status === 137;
}
