import { describe, expect, it } from 'vitest';
import type { CommandResult, Host } from '../../src/host/host.ts';
import { holdForeground, isAbandoned, isForeground } from '../../src/run/foreground.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate } from '../support/fake/gate.ts';
import { createFakeMachine } from '../support/fake/machine.ts';

const DATA = '/var/lib/runspec';

/** A host with the file of a `run`, on which flock answers so, one answer after the other. */
function hostWith(...answers: readonly Pick<CommandResult, 'status' | 'stderr'>[]): Host {
  const machine = createFakeMachine();
  machine.files.makeDirectory(DATA, { mode: 0o711 });
  machine.files.put(`${DATA}/.run.web`, '');
  const left = [...answers];
  return {
    ...createFakeHost(machine, createGate()),
    run: async (argv) => ({ argv, stdout: '', ...(left.shift() ?? { status: undefined, stderr: '' }) }),
  };
}

describe('a container of a run', () => {
  const cutShort = { status: undefined, stderr: 'flock was ended by SIGINT\n' };

  it('is in the foreground while its file is locked, and abandoned when it is not', async () => {
    expect(await isForeground(hostWith({ status: 1, stderr: '' }), DATA, 'web')).toBe(true);
    expect(await isAbandoned(hostWith({ status: 0, stderr: '' }), DATA, 'web')).toBe(true);
  });

  it('is looked at again when a signal has ended the look', async () => {
    expect(await isForeground(hostWith(cutShort, { status: 0, stderr: '' }), DATA, 'web')).toBe(false);
  });

  it('is not taken for one of another runspec where flock is not there', async () => {
    await expect(isForeground(hostWith(), DATA, 'web')).rejects.toMatchObject({
      message: expect.stringContaining('.run.web is locked') as string,
      hint: expect.stringContaining('is flock installed') as string,
    });
  });
});

describe('the watcher of a run', () => {
  it('is signalled as a child: once it has ended, its number may be that of a stranger', async () => {
    const sent: unknown[] = [];
    const host: Host = {
      ...hostWith(),
      spawn: () => ({
        pid: 4711,
        pipe: () => {
          throw new Error('it has no pipes');
        },
        kill: (signal) => sent.push(signal) > 0,
        exited: Promise.resolve({ status: undefined, signal: 'SIGKILL' }),
        release: () => undefined,
      }),
      kill: (pid) => Promise.reject(new Error(`somebody has killed ${pid}`)),
    };
    const { release } = await holdForeground(host, DATA, 'web', ['down']);
    await release();
    expect(sent).toEqual(['SIGKILL']);
  });
});
