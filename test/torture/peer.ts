// One kill campaign for runspec and its peers alike: start a container with a network, a published port and limits, or
// remove it, and kill in the middle; then clean up as each one's manual says, and count what is left of the host's objects.
import { diffSnapshots, takeSnapshot, type Snapshot } from '../support/snapshot.ts';
import { createTestHost, type Started, type TestHost } from '../support/test-host.ts';
import { sleep, type Campaign, type Ledger, type Outcome } from './campaign.ts';
import type { Random } from './random.ts';
import { shorten } from './scene.ts';
import { strike, type Victims } from './strike.ts';

export interface Peer {
  readonly name: string;
  /** Whom `kill -9` hits, by kind. */
  readonly victims: Readonly<Record<Victims, string>>;
  /** Commands that clean up, for the table. */
  readonly cleanUpWords: string;
  /** Makes a host ready to start a container. */
  open(host: TestHost): Promise<OpenPeer>;
}

export interface OpenPeer {
  readonly versions: readonly string[];
  /** Starts a container in the background, or removes it. */
  begin(operation: PeerOperation): Promise<Started>;
  /** The process to be killed when it is not the command itself: a daemon. */
  readonly daemon?: () => number;
  /** Whatever is there, by documented means. @returns what went wrong. */
  cleanUp(): Promise<readonly string[]>;
  /** What is kept on disk for containers, by name; layers of images are no residue. */
  listKept(): readonly string[];
  /** Folders that are the tool's own bookkeeping. */
  readonly ignore: readonly string[];
  close(): Promise<void>;
}

export type PeerOperation = 'run' | 'remove';

const VICTIMS: readonly Victims[] = ['tool', 'tree', 'child'];

/** What ends by itself after a clean-up, such as helpers in the background, may take this long. */
const SETTLING_MS = 10_000;

interface Bench {
  readonly host: TestHost;
  readonly peer: OpenPeer;
  readonly clean: Look;
  readonly durations: Readonly<Record<PeerOperation, number>>;
}

interface Look {
  readonly snapshot: Snapshot;
  readonly kept: readonly string[];
}

export function peerCampaign(peer: Peer): Campaign {
  return {
    name: `peer-${peer.name}`,
    title: `${peer.name}: \`kill -9\` in the middle of starting and of removing a container; then ${peer.cleanUpWords}`,
    rounds: 6,
    run: async ({ random, rounds, say, ledger }) => {
      let bench: Bench | undefined;
      try {
        for (const operation of ['run', 'remove'] as const) {
          for (const victims of VICTIMS) {
            for (let round = 1, missed = 0; round <= rounds && missed < 40;) {
              bench ??= await openBench(peer, ledger);
              const played = await play(bench, random, operation, victims);
              missed += played === undefined ? 1 : 0;
              if (played === undefined) continue;
              ledger.enter(`${operation}, ${victims}, round ${round}, ${played.label}`, played.outcome);
              for (const line of played.outcome.residue) ledger.count(`residue: ${line.split(' ')[1] ?? ''}`);
              round += 1;
              if (played.outcome.residue.length + played.outcome.failures.length === 0) continue;
              ledger.count('leaky rounds', played.outcome.residue.length === 0 ? 0 : 1);
              // The next fault is to meet a clean host.
              await closeBench(bench);
              bench = undefined;
            }
            say(`${operation}, ${victims}: done`);
          }
        }
      } finally {
        if (bench !== undefined) await closeBench(bench);
      }
    },
  };
}

async function openBench(kind: Peer, ledger: Ledger): Promise<Bench> {
  const host = await createTestHost();
  try {
    const peer = await kind.open(host);
    for (const version of peer.versions) ledger.note(version);
    const fresh = await look(host, peer);
    // What every use leaves, and not only a killed one, is told apart: it is part of the clean state.
    for (let turn = 0; turn < 2; turn += 1) {
      await undisturbed(peer, 'run');
      await undisturbed(peer, 'remove');
      await must(peer.cleanUp());
    }
    const durations = { run: await undisturbed(peer, 'run'), remove: await undisturbed(peer, 'remove') };
    await must(peer.cleanUp());
    const clean = await settle(host, peer);
    ledger.note(`left by undisturbed use: ${difference(fresh, clean).length}`);
    return { host, peer, clean, durations };
  } catch (error) {
    await host.destroy();
    throw error;
  }
}

async function closeBench({ host, peer }: Bench): Promise<void> {
  await peer.close();
  await host.destroy();
}

async function must(attempt: Promise<readonly string[]>): Promise<void> {
  const failures = await attempt;
  if (failures.length > 0) throw new Error(failures.join('\n'));
}

/** @returns milliseconds. */
async function undisturbed(peer: OpenPeer, operation: PeerOperation): Promise<number> {
  const started = performance.now();
  const command = await peer.begin(operation);
  const { status } = await command.ended;
  if (status !== 0) throw new Error(`${operation} ended with ${status}: ${shorten(command.written())}`);
  return performance.now() - started;
}

async function play(
  { host, peer, clean, durations }: Bench,
  random: Random,
  operation: PeerOperation,
  victims: Victims,
): Promise<{ readonly label: string; readonly outcome: Outcome } | undefined> {
  try {
    if (operation === 'remove') await undisturbed(peer, 'run');
    const daemon = peer.daemon?.();
    const aim = {
      random,
      victims,
      within: durations[operation],
      ...(daemon === undefined ? {} : { target: daemon }),
    };
    const struck = await strike(host, () => peer.begin(operation), aim);
    const failures = struck.hung ? ['the command went on for ever'] : [];
    failures.push(...(await peer.cleanUp()));
    if (struck.killed === undefined) {
      await must(Promise.resolve(failures));
      return undefined;
    }
    const left = difference(clean, await settle(host, peer, clean));
    return { label: `killed ${struck.killed}`, outcome: { failures, residue: left } };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { label: 'broken off', outcome: { failures: [text], residue: [] } };
  }
}

async function look(host: TestHost, peer: OpenPeer): Promise<Look> {
  const snapshot = await takeSnapshot({
    pid: host.pid,
    output: host.output,
    cgroups: host.prefix,
    folders: ['/run', '/dev/shm', host.folder],
    ignore: peer.ignore,
  });
  return { snapshot, kept: peer.listKept() };
}

/** Until it is like `wanted`, or else until nothing has moved for a while. */
async function settle(host: TestHost, peer: OpenPeer, wanted?: Look): Promise<Look> {
  const deadline = Date.now() + SETTLING_MS;
  let last = await look(host, peer);
  for (;;) {
    if (wanted !== undefined && difference(wanted, last).length === 0) return last;
    await sleep(wanted === undefined ? 1_000 : 300);
    const next = await look(host, peer);
    if ((wanted === undefined && difference(last, next).length === 0) || Date.now() > deadline) return next;
    last = next;
  }
}

function difference(before: Look, after: Look): readonly string[] {
  const kept = after.kept.filter((line) => !before.kept.includes(line)).map((line) => `+ kept ${line}`);
  const lines = diffSnapshots(before.snapshot, after.snapshot);
  const links = lines.flatMap((line) => /^\+ link ifname=(\S+)/.exec(line)?.[1] ?? []);
  // A hundred settings come with every link and go with it: the link itself is counted.
  const comesWith = (line: string): boolean =>
    links.some((link) => /^\+ sysctl net\/ipv[46]\/conf\//.test(line) && line.includes(`/${link}/`));
  return [...lines.filter((line) => !comesWith(line) && !isNoise(line)), ...kept];
}

/**
 * What a restart of a daemon changes on any host: the order of its rules, and sockets whose names are drawn by lot or that
 * lie in its own folder.
 */
function isNoise(line: string): boolean {
  return (
    line === '~ nft in another order' ||
    /^[-+] socket u_\S+ \S+ (@[0-9a-f]{5}$|\S+\/data\/docker\/)/.test(line)
  );
}
