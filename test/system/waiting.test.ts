// Between the moment that an apply has looked at the host and the moment that it may change it, another runspec can
// have been at work.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec } from '../support/specs.ts';
import { commandOf, descendants } from '../torture/processes.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');
const SOON = { timeout: 20_000, interval: 20 };
const SHARED = {
  process: { args: WAIT, stopTimeout: '0s' },
  network: { bridge: 'wait0', subnet: '10.73.0.0/24' },
};

describe.skipIf(!requireSystem())('an apply that has looked at the host', () => {
  const getHost = shareHost({});

  interface Waiting {
    /** Commands below the apply. */
    come(): readonly string[];
    /** Gives it its spec. */
    tell(): void;
  }
  async function takeOtherDown({ tell }: Waiting, other: string): Promise<void> {
    await succeed(getHost(), 'down', other);
    tell();
  }
  async function removeBridge({ come, tell }: Waiting): Promise<void> {
    const host = getHost();
    const hold = 'open(F, ">>", shift); flock(F, 2); $| = 1; print "held"; sleep 1000';
    const holder = await host.start(['perl', '-e', hold, `${host.dataDir}/.lock`]);
    await expect.poll(holder.written, SOON).toContain('held');
    tell();
    await expect.poll(come, SOON).toContain('flock');
    await host.output(['ip', 'link', 'delete', 'wait0']);
    holder.kill('SIGKILL');
    await holder.ended;
  }

  it.each([
    ['still reads its spec', takeOtherDown],
    ['waits for the lock', removeBridge],
  ] as const)('and %s makes a bridge anew that goes meanwhile', async (_, meanwhile) => {
    const host = getHost();
    const one = writeSpec(host, 'one', SHARED);
    const two = writeSpec(host, 'two', SHARED);
    await succeed(host, 'apply', one.file);
    const pipe = path.join(path.dirname(two.file), 'pipe');
    await host.output(['mkfifo', pipe]);
    // Not for writing alone, which waits for a reader.
    const spec = fs.openSync(pipe, 'r+');
    const apply = await host.start(['sh', '-c', 'exec "$@" - <"$0"', pipe, process.execPath, CLI, 'apply']);
    const come = (): readonly string[] => descendants(apply.pid).map(commandOf);
    // It looks before it reads.
    await expect.poll(come, SOON).toContain('ip');
    const tell = (): void => {
      fs.writeSync(spec, fs.readFileSync(two.file));
      fs.closeSync(spec);
    };
    await meanwhile({ come, tell }, one.name);
    const { status } = await apply.ended;
    expect({ status, said: apply.written() }).toMatchObject({ status: 0 });
    fs.rmSync(pipe);
    await succeed(host, 'down', '--all');
  });
});
