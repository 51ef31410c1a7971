// A test host for rounds of one campaign, with a container of every feature in two versions. A host on which
// something was left is thrown away, so that one leak is counted once.
import fs from 'node:fs';
import path from 'node:path';
import { diffSnapshots, takeSnapshot, type Snapshot } from '../support/snapshot.ts';
import { serve, SPECS, writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';
import { sleep, type Ledger, type Outcome, type Setting } from './campaign.ts';

export interface Scene {
  readonly host: TestHost;
  /** Of the host as every round must leave it. */
  readonly clean: Snapshot;
}

/** Without what the campaign itself writes, and the unpacked layers, which are kept on purpose. */
function look(host: TestHost): Promise<Snapshot> {
  return takeSnapshot({
    pid: host.pid,
    output: host.output,
    cgroups: host.prefix,
    folders: ['/run', '/dev/shm', host.folder],
    ignore: [path.join(host.dataDir, 'images'), path.join(host.folder, SPECS), path.join(host.folder, SITE)],
  });
}

const SITE = 'site';

/** How long what ends by itself, such as orphans of the killed, may take. */
const SETTLING_MS = 10_000;

/** What is left, once nothing moves any more. */
export async function findResidue({ host, clean }: Scene): Promise<readonly string[]> {
  const deadline = Date.now() + SETTLING_MS;
  for (;;) {
    const left = diffSnapshots(clean, await look(host));
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(200);
  }
}

/**
 * Plays `round` on a host that `prepare` made ready, as often as the campaign says; a round that gives no outcome hit
 * nothing and is played again. Stops for good after as many in vain.
 */
export async function playRounds(
  { rounds, say }: Setting,
  ledger: Ledger,
  prepare: (host: TestHost) => Promise<unknown>,
  round: (
    scene: Scene,
    number: number,
  ) => Promise<{ readonly label: string; readonly outcome: Outcome } | undefined>,
): Promise<void> {
  let scene: Scene | undefined;
  let missed = 0;
  try {
    for (let number = 1; number <= rounds;) {
      scene ??= await openScene(prepare);
      const played = await attempt(scene, number, round);
      if (played === undefined) {
        ledger.count('came too late');
        missed += 1;
        if (missed > 20 + rounds * 4) throw new Error('kills come too late again and again');
        continue;
      }
      ledger.enter(`round ${number}, ${played.label}`, played.outcome);
      if (number % 25 === 0) say(`${number} of ${rounds}`);
      number += 1;
      if (played.outcome.failures.length + played.outcome.residue.length === 0) continue;
      const spoilt = scene;
      scene = undefined;
      await spoilt.host.destroy();
    }
  } finally {
    await scene?.host.destroy();
  }
}

/** For campaigns that are one long round. */
export async function withScene<T>(
  prepare: (host: TestHost) => Promise<unknown>,
  play: (scene: Scene) => Promise<T>,
): Promise<T> {
  const scene = await openScene(prepare);
  try {
    return await play(scene);
  } finally {
    await scene.host.destroy();
  }
}

async function attempt(
  scene: Scene,
  number: number,
  round: Parameters<typeof playRounds>[3],
): ReturnType<Parameters<typeof playRounds>[3]> {
  try {
    return await round(scene, number);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { label: 'broken off', outcome: { failures: [text], residue: [] } };
  }
}

async function openScene(prepare: (host: TestHost) => Promise<unknown>): Promise<Scene> {
  const host = await createTestHost();
  try {
    await prepare(host);
    return { host, clean: await look(host) };
  } catch (error) {
    await host.destroy();
    throw error;
  }
}

/** Nothing when runspec ends with 0, else what it said. */
export async function mustSucceed(host: TestHost, ...args: readonly string[]): Promise<readonly string[]> {
  const { status, stdout, stderr } = await host.runspec(...args);
  return status === 0 ? [] : [`runspec ${args.join(' ')} ended with ${status}: ${shorten(stderr || stdout)}`];
}

export function shorten(text: string): string {
  // Steps that went well do not tell what did not.
  return text
    .split('\n')
    .filter((line) => line !== '' && !/^[-+~=±] /.test(line))
    .slice(-12)
    .join(' | ')
    .slice(0, 1500);
}

/** Every feature that makes something on the host; volumes go with `down --volumes`. */
export function writeBoth(
  host: TestHost,
  base: string,
): { readonly one: PlacedSpec; readonly two: PlacedSpec } {
  const site = path.join(host.folder, SITE);
  fs.mkdirSync(site, { recursive: true });
  const process = { args: serve('web', 'tcp:80', 'udp:53'), stopTimeout: '2s' };
  // In both: what an update drops is kept, and no `down` knows of it any more.
  const volume = { type: 'volume', source: `${host.prefix}-data`, destination: '/var/lib/data' };
  const keys: SpecKeys = {
    process,
    resources: { cpus: 0.5, memory: '64M', pids: 50 },
    network: { bridge: 'tort0', subnet: '10.71.0.0/24', ports: ['8080:80', '127.0.0.1:5353:53/udp'] },
    dns: { servers: ['4.2.2.4'], hosts: { db: '10.71.0.9' } },
    mounts: [
      { type: 'bind', source: site, destination: '/srv/site', readOnly: true },
      volume,
      { type: 'tmpfs', destination: '/tmp', size: '4M' },
    ],
    sysctls: { 'net.core.somaxconn': 512 },
  };
  const changed: SpecKeys = {
    ...keys,
    process: { ...process, env: { CHANGED: '1' } },
    resources: { cpus: 0.25, memory: '48M', pids: 60, cpuWeight: 50 },
    network: { bridge: 'tort0', subnet: '10.71.0.0/24', ports: ['8081:80', '8082:80'], nat: false },
    dns: { servers: ['4.2.2.2'], hosts: { db: '10.71.0.8' } },
    mounts: [volume, { type: 'tmpfs', destination: '/scratch', size: '2M' }],
  };
  const one = writeSpec(host, base, keys);
  const text = fs.readFileSync(one.file, 'utf8');
  const { file } = writeSpec(host, base, changed);
  const two = { ...one, file: host.write(`specs/${base}-two.json`, fs.readFileSync(file, 'utf8')) };
  fs.writeFileSync(one.file, text);
  return { one, two };
}
