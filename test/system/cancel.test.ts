// A signal at any moment of an apply or a down, to runspec and to what it has started, as from a terminal: rolled back, or
// finished, whatever comes after it.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, identify, list, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec } from '../support/specs.ts';
import type { Started } from '../support/test-host.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

/** Moments in milliseconds after the start, spread over an apply; `npm run torture` takes random ones. */
const MOMENTS: readonly (readonly [NodeJS.Signals, number])[] = [
  ['SIGINT', 60],
  ['SIGTERM', 110],
  ['SIGHUP', 150],
  ['SIGINT', 190],
  ['SIGTERM', 230],
  ['SIGHUP', 270],
  ['SIGINT', 320],
  ['SIGTERM', 400],
];
const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

const after = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

function killIfThere(started: Started, signal: NodeJS.Signals): void {
  try {
    started.killGroup(signal);
  } catch (error) {
    // It has ended already.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

describe.skipIf(!requireSystem())('a spec that is awaited on standard input', () => {
  const getHost = shareHost();

  it.each(['validate', 'plan', 'apply'])('is awaited by %s no longer than to Ctrl-C', async (command) => {
    const host = getHost();
    // An input that never ends; whoever does not end at the signal is killed long after it.
    const script = 'mkfifo "$0"; exec 3<>"$0"; rm "$0"; exec timeout "$@" <&3';
    const limits = ['--preserve-status', '--signal=INT', '--kill-after=20', '2'];
    const fifo = path.join(host.folder, 'input');
    const { status, stderr } = await host.exec([
      'sh',
      '-c',
      script,
      fifo,
      ...limits,
      process.execPath,
      CLI,
      command,
      '-',
    ]);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(status).toBe(130);
  });

  it.each(['validate', 'plan', 'apply'])(
    'is awaited by %s of a fifo no longer than that',
    async (command) => {
      const host = getHost();
      const fifo = path.join(host.folder, `fifo-${command}`);
      await host.output(['mkfifo', fifo]);
      const limits = ['--preserve-status', '--signal=TERM', '--kill-after=20', '2'];
      const { status, stderr } = await host.exec([
        'timeout',
        ...limits,
        process.execPath,
        CLI,
        command,
        fifo,
      ]);
      fs.rmSync(fifo);
      expect({ status, stderr }).toEqual({ status: 143, stderr: 'interrupted by SIGTERM\n' });
    },
  );
});

describe.skipIf(!requireSystem())('an apply that is interrupted', () => {
  const getHost = shareHost();
  const write = (keys: object = {}) =>
    writeSpec(getHost(), 'cancel', {
      network: { bridge: 'cancel0', ports: ['8080:80'] },
      resources: { memory: '64M' },
      process: { args: WAIT, stopTimeout: '5s' },
      ...keys,
    });

  it.each(MOMENTS)(
    'by %s after %d ms, and by a second signal, is rolled back or finished',
    async (signal, ms) => {
      const host = getHost();
      const spec = write();
      const before = await host.snapshot();
      const apply = await host.startRunspec('apply', spec.file);
      await after(ms);
      const sent = Date.now();
      killIfThere(apply, signal);
      await after(5);
      // The second one, and a third of another kind, while it is being undone.
      killIfThere(apply, 'SIGINT');
      killIfThere(apply, 'SIGTERM');
      const { status, signal: endedBy } = await apply.ended;
      const took = Date.now() - sent;
      const outcome = `${status ?? endedBy} ${/interrupted by .*/.exec(apply.written())?.[0] ?? ''}`.trim();
      // Of signals that come together the kernel may deliver a later one first.
      const sentSignals = [signal, 'SIGINT', 'SIGTERM'] as (keyof typeof STATUS)[];
      const rolledBack = sentSignals.flatMap((one) =>
        // With nothing to roll back where nothing had been begun.
        [', rolled back', ''].map((end) => `${STATUS[one]} interrupted by ${one}${end}`),
      );
      // Done, undone, or ended before runspec itself was there to hear of it.
      expect(['0', ...rolledBack, ...sentSignals]).toContain(outcome);
      if (status === 0) await succeed(host, 'down', spec.name);
      expect(await list(host)).toEqual([]);
      expect(await host.settledDiff(before)).toEqual([]);
      // Two seconds on a machine with nothing else to do; here it only must not hang.
      expect(took).toBeLessThan(30_000);
    },
  );

  // With --quiet the terminal has not been opened by then: Node does so when a pipe ends, and throws.
  it.each(['--verbose', '--quiet'])(
    'by its terminal being closed is rolled back or finished, though it can print no more: %s',
    async (option) => {
      const host = getHost();
      const spec = write();
      const before = await host.snapshot();
      const statusFile = `${spec.file}.status`;
      for (const seconds of ['0.1', '0.15', '0.2', '0.3']) {
        // Whoever holds the terminal is killed, as by closing a window.
        const call = `${process.execPath} ${CLI} ${option} apply ${spec.file}`;
        const line = `trap : HUP; ${call}; echo $? >${statusFile}`;
        await host.exec(['timeout', '--signal', 'KILL', seconds, 'script', '-qec', line, '/dev/null']);
        await expect.poll(() => fs.existsSync(statusFile), { timeout: 30_000 }).toBe(true);
        // Not by a signal of its own making, as SIGABRT.
        await expect.poll(() => fs.readFileSync(statusFile, 'utf8')).toMatch(/^(?:0|129)\n$/);
        fs.rmSync(statusFile);
        const up = await list(host);
        for (const { name } of up) await identify(host, name);
        if (up.length > 0) await succeed(host, 'down', spec.name);
        expect(await host.settledDiff(before)).toEqual([]);
      }
    },
  );

  it('in an update leaves the former process serving as before', async () => {
    const host = getHost();
    const spec = write();
    await succeed(host, 'apply', spec.file);
    const identity = await identify(host, spec.name);
    const former = await host.snapshot();
    const update = { network: { bridge: 'cancel0', ports: ['8081:80'] }, resources: { memory: '32M' } };
    for (const ms of [80, 120, 160]) {
      const changed = write(update);
      const apply = await host.startRunspec('apply', changed.file);
      await after(ms);
      killIfThere(apply, 'SIGTERM');
      const { status } = await apply.ended;
      if (status === 0) await succeed(host, 'apply', write().file);
      expect(await identify(host, spec.name)).toBe(identity);
      const left = (await host.settledDiff(former)).filter(
        (one) => !/ file .*\/(plan\.json|specs\/)/.test(one),
      );
      expect(left).toEqual([]);
    }
    expect((await find(host, spec.name)).ports).toEqual(['0.0.0.0:8080->80/tcp']);
    await succeed(host, 'down', spec.name);
  });
});

describe.skipIf(!requireSystem())('a down that is interrupted', () => {
  const getHost = shareHost();

  it.each([60, 80, 100, 120, 140, 170, 200])('after %d ms is finished all the same', async (ms) => {
    const host = getHost();
    const spec = writeSpec(host, 'ending', {
      network: { bridge: 'cancel0', ports: ['8080:80'] },
      resources: { memory: '64M' },
      process: { args: WAIT, stopTimeout: '5s' },
    });
    const before = await host.snapshot();
    await succeed(host, 'apply', spec.file);
    const down = await host.startRunspec('down', spec.name);
    await after(ms);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGINT'] as const) {
      killIfThere(down, signal);
      await after(15);
    }
    const { status, signal } = await down.ended;
    // Ended by it while Node itself was still starting.
    if (status === null) await succeed(host, 'down', spec.name);
    expect(`${status ?? signal} ${down.written()}`).toMatch(/^(0|SIG\w+) /);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  /** Signals until it has ended: those within a second count as one. */
  async function insist(started: Started): Promise<void> {
    const ended = started.ended.then(() => true);
    do killIfThere(started, 'SIGINT');
    while (!(await Promise.race([ended, after(200)])));
  }

  it('says how long a process may take that does not end, and kills it at a further signal', async () => {
    const host = getHost();
    const deaf = ['bash', '-c', 'trap "" TERM INT; while :; do sleep 0.1; done'];
    const keys = { network: { bridge: 'cancel0' }, process: { args: deaf, stopTimeout: '10m' } };
    const spec = writeSpec(host, 'deaf', keys);
    await succeed(host, 'apply', spec.file);
    const former = await identify(host, spec.name);
    // An apply that replaces it is rolled back when it has been killed: it was told to end, and comes back as another one.
    writeSpec(host, 'deaf', { ...keys, hostname: 'other' });
    const apply = await host.startRunspec('apply', spec.file);
    await expect.poll(apply.written, { timeout: 20_000 }).toContain('has 600 s to end after SIGTERM');
    await insist(apply);
    expect((await apply.ended).status).toBe(130);
    expect(await identify(host, spec.name)).not.toBe(former);
    const down = await host.startRunspec('down', spec.name);
    await expect.poll(down.written, { timeout: 20_000 }).toContain('has 600 s to end after SIGTERM');
    killIfThere(down, 'SIGTERM');
    await expect.poll(down.written, { timeout: 20_000 }).toContain('s left to end after SIGTERM: Ctrl-C');
    await insist(down);
    expect((await down.ended).status).toBe(0);
    expect(down.written()).toContain('is killed after another SIGINT');
    expect(await list(host)).toEqual([]);
  });
});
