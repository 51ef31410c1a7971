import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import type { OpContext } from '../../src/ops/op.ts';
import { process as op } from '../../src/ops/process.ts';
import type { ProcessStep } from '../../src/plan/plan.ts';
import { readContainerState } from '../../src/runtime/container-state.ts';
import { readBootId, readIdentity } from '../../src/runtime/proc.ts';
import { bringEndBack, layEndAside } from '../../src/runtime/former-end.ts';
import { launchOf, type ProcessFile, writeProcessFile } from '../../src/runtime/process-file.ts';
import { host, makeTree } from '../runtime/scratch-root.ts';

const folder = makeTree({ keep: '' });
const context = { host } as unknown as OpContext;

/** A record of this test's own process, which is certain to run. */
async function makeRecord(name: string, change: Partial<ProcessFile> = {}): Promise<ProcessStep> {
  const records = `${folder}/${name}`;
  await host.makeDirectory(records);
  const step: ProcessStep = {
    op: 'process',
    id: 'process',
    needs: [],
    after: [],
    container: 'web',
    bundle: `${folder}/bundle`,
    runtime: { name: 'runc', path: '/usr/sbin/runc' },
    runtimeRoot: `${folder}/runtime`,
    records,
    log: `${folder}/log`,
    terminal: false,
    stopSignal: 'SIGTERM',
    stopTimeout: 0,
    cgroup: '/runspec/web',
  };
  const init = await readIdentity(host, process.pid);
  if (init === undefined) throw new Error('this process is not in /proc');
  await writeProcessFile(host, records, {
    container: 'web',
    bootId: await readBootId(host),
    init,
    monitor: init,
    startedAt: 1000,
    launch: launchOf(step),
    ...change,
  });
  return step;
}

describe('the process', () => {
  it('is present while its init and its monitor live', async () => {
    const step = await makeRecord('present');
    expect(await op.probe(context, step)).toEqual({
      state: 'present',
    });
  });

  it('is absent without a record', async () => {
    const step = await makeRecord('none');
    await host.removeFile(`${step.records}/process.json`);
    expect(await op.probe(context, step)).toEqual({ state: 'absent' });
    expect(await readContainerState(host, step.records)).toEqual({ status: 'absent' });
  });

  it('is not believed to be another process with its pid', async () => {
    const step = await makeRecord('reused', { init: { pid: process.pid, startTime: '1' } });
    expect(await op.probe(context, step)).toEqual({ state: 'absent' });
  });

  it('is not believed to have lived through a reboot', async () => {
    const step = await makeRecord('rebooted', { bootId: 'another' });
    expect(await op.probe(context, step)).toEqual({ state: 'absent' });
  });

  it('of a record from before a reboot is not looked for by its number', async () => {
    const stranger = spawn('sleep', ['1000']);
    try {
      const init = await readIdentity(host, stranger.pid ?? 0);
      if (init === undefined) throw new Error('sleep does not run');
      const step = await makeRecord('stranger', { bootId: 'another', init });
      const cgroup = '/runspec/nobody-has-this-name';
      await op.revert(context, { ...step, cgroup, stopTimeout: 10 }, {}, { volumes: false });
      expect(await readIdentity(host, init.pid)).toEqual(init);
      expect(await host.status(`${step.records}/process.json`)).toBeUndefined();
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('has drifted when nobody keeps its log any more', async () => {
    const step = await makeRecord('unmonitored', { monitor: { pid: process.pid, startTime: '1' } });
    expect(await op.probe(context, step)).toMatchObject({
      state: 'drifted',
      inPlace: false,
      differences: [{ property: 'monitor', found: 'gone' }],
    });
  });

  it('has drifted when it was started otherwise', async () => {
    const step = await makeRecord('otherwise');
    expect(await op.probe(context, { ...step, terminal: true })).toMatchObject({
      state: 'drifted',
      differences: [{ property: 'terminal', wanted: 'true', found: 'false' }],
    });
  });

  it.each([
    ['well', '0', true, { exitStatus: 0, oom: false }],
    ['by itself', '3', false, { exitStatus: 3, oom: false }],
    ['by the OOM killer', '137', true, { exitStatus: 137, oom: true }],
    ['unseen', undefined, false, { exitStatus: undefined, oom: false }],
  ])('that ended %s has a state that says so', async (how, status, oom, expected) => {
    const gone = { pid: process.pid, startTime: '1' };
    const step = await makeRecord(`ended ${how}`, { init: gone, monitor: gone });
    if (status !== undefined) await host.writeAtomic(`${step.records}/exit`, status);
    if (oom) await host.writeAtomic(`${step.records}/oom`, '');
    expect(await readContainerState(host, step.records)).toMatchObject({
      status: 'exited',
      startedAt: 1000,
      ...expected,
    });
  });

  it('counts OOM kills in its cgroup since the start, when conmon missed them', async () => {
    const gone = { pid: process.pid, startTime: '1' };
    const file = `${folder}/memory.events`;
    await host.writeAtomic(file, 'oom 5\noom_kill 2\n');
    const step = await makeRecord('counted', { init: gone, monitor: gone, oom: { file, kills: 1 } });
    await host.writeAtomic(`${step.records}/exit`, '137');
    expect(await readContainerState(host, step.records)).toMatchObject({ oom: true });
    await host.writeAtomic(file, 'oom 5\noom_kill 1\n');
    expect(await readContainerState(host, step.records)).toMatchObject({ oom: false });
  });

  /** A machine without conmon, where nothing can be started. */
  const withoutConmon = (removeTree = host.removeTree): OpContext =>
    ({
      host: { ...host, which: () => Promise.resolve(undefined), removeTree },
      view: { mounts: () => Promise.resolve([]) },
      dataDir: folder,
      signal: new AbortController().signal,
      reached: () => Promise.resolve(),
    }) as unknown as OpContext;

  it('has ended as it had once another start has failed and is taken back', async () => {
    const gone = { pid: process.pid, startTime: '1' };
    const step = await makeRecord('tried again', { init: gone, monitor: gone });
    await host.writeAtomic(`${step.records}/exit`, '7');
    const before = await readContainerState(host, step.records);
    await layEndAside(host, step.records);
    await expect(op.apply(withoutConmon(), step, {})).rejects.toThrow('conmon is not installed');
    expect(await readContainerState(host, step.records)).toEqual({ status: 'absent' });
    await bringEndBack(host, step.records);
    expect(await readContainerState(host, step.records)).toEqual(before);
    expect(await host.list(step.records)).toEqual(['exit', 'process.json']);
  });

  it.each([
    [true, 1],
    [false, 2],
  ])('has ended as it had (out of memory: %s), whatever the kernel counts since', async (oom, kills) => {
    const gone = { pid: process.pid, startTime: '1' };
    const file = `${folder}/memory.events`;
    await host.writeAtomic(file, 'oom_kill 2\n');
    const step = await makeRecord(`counted on ${kills}`, { init: gone, monitor: gone, oom: { file, kills } });
    await host.writeAtomic(`${step.records}/exit`, '137');
    const before = await readContainerState(host, step.records);
    expect(before).toMatchObject({ oom });
    await layEndAside(host, step.records);
    await host.writeAtomic(file, `oom_kill ${oom ? 0 : 3}\n`);
    await bringEndBack(host, step.records);
    expect(await readContainerState(host, step.records)).toEqual(before);
  });

  it('tells why it did not start, also when what was begun cannot be removed', async () => {
    const step = await makeRecord('stuck', { bootId: 'another' });
    let calls = 0;
    const context = withoutConmon(async (path) => {
      calls += path.startsWith(step.runtimeRoot) ? 1 : 0;
      if (calls > 1) throw new OperationError('the state is stuck');
      return host.removeTree(path);
    });
    const failed = await Promise.resolve(op.apply(context, step, {})).catch((error: unknown) => error);
    expect(failed).toMatchObject({
      message: 'conmon is not installed',
      cleanup: [{ message: 'the state is stuck' }],
    });
  });
});
