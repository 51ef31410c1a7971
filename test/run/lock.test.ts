import { describe, expect, it } from 'vitest';
import { BusyError } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import { lockGeneration, withLock } from '../../src/run/lock.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate } from '../support/fake/gate.ts';
import { createFakeMachine } from '../support/fake/machine.ts';

const DATA = '/var/lib/runspec';

describe('the lock', () => {
  it('lets one work at a time, and names the folder to the other', async () => {
    const host = createFakeHost(createFakeMachine(), createGate());
    await withLock(host, DATA, 0, async () => {
      const second = withLock(host, DATA, 0, () => Promise.resolve('in'));
      await expect(second).rejects.toThrow(new BusyError(`another runspec is at work in ${DATA}`));
    });
    expect(await withLock(host, DATA, 0, () => Promise.resolve('in'))).toBe('in');
  });

  it('has a generation that lasts until somebody takes it, and none while it is held', async () => {
    const machine = createFakeMachine();
    const host = createFakeHost(machine, createGate());
    expect(await lockGeneration(host, DATA)).toBeUndefined();
    await host.makeDirectory(DATA);
    const before = await lockGeneration(host, DATA);
    expect(before).toBeDefined();
    expect(await lockGeneration(host, DATA)).toBe(before);
    await withLock(host, DATA, 0, async () => {
      expect(await lockGeneration(host, DATA)).toBeUndefined();
    });
  });

  it('tells the work whether nobody has held it since its file was made', async () => {
    const machine = createFakeMachine();
    machine.files.makeDirectory(DATA, { mode: 0o755 });
    const host = createFakeHost(machine, createGate());
    const told: unknown[] = [];
    const take = (): Promise<void> =>
      withLock(
        host,
        DATA,
        0,
        async (isStillTrue) => void told.push(isStillTrue),
        () => told.push('made'),
      );
    await take();
    machine.files.put(`${DATA}/.lock`, '');
    await take();
    expect(told).toEqual(['made', true, false]);
  });

  it('leaves no file and no empty folder of its own, also when the work fails', async () => {
    const machine = createFakeMachine();
    const clean = machine.dump();
    const host = createFakeHost(machine, createGate());
    await expect(withLock(host, DATA, 0, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(machine.dump()).toEqual(clean);
  });

  it('does not wait for a folder that cannot be made, and begins again when a holder has removed it', async () => {
    const real = createFakeHost(createFakeMachine(), createGate());
    const missing = Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT' });
    const nowhere: Host = { ...real, makeDirectory: () => Promise.reject(missing) };
    await expect(withLock(nowhere, DATA, 60_000, () => Promise.resolve())).rejects.toThrow(
      /cannot use the data folder/,
    );
    let losses = 2;
    const racing: Host = {
      ...real,
      lock: (...args) => ((losses -= 1) < 0 ? real.lock(...args) : Promise.reject(missing)),
    };
    expect(await withLock(racing, DATA, 60_000, () => Promise.resolve('in'))).toBe('in');
  });

  it('waits for the rest of its time after a folder that went, also when the clock is set meanwhile', async () => {
    const real = createFakeHost(createFakeMachine(), createGate());
    const missing = Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT' });
    const clock = { wall: 1_700_000_000_000, passed: 0 };
    const waits: number[] = [];
    const host: Host = {
      ...real,
      now: () => clock.wall,
      monotonic: () => clock.passed,
      lock: (_path, timeoutMs) => {
        waits.push(timeoutMs);
        clock.passed += 400;
        clock.wall += waits.length === 1 ? 3_600_000 : -7_200_000;
        return waits.length > 4 ? Promise.resolve(undefined) : Promise.reject(missing);
      },
    };
    await expect(withLock(host, DATA, 1000, () => Promise.resolve())).rejects.toThrow(
      /cannot use the data folder/,
    );
    expect(waits).toEqual([1000, 600, 200]);
  });

  it('lets the failure of the work be heard, whatever comes of its own file', async () => {
    const real = createFakeHost(createFakeMachine(), createGate());
    const host: Host = { ...real, removeFile: () => Promise.reject(new Error('EROFS: read-only')) };
    await expect(withLock(host, DATA, 0, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(withLock(host, DATA, 0, () => Promise.resolve())).rejects.toThrow('EROFS');
    expect(await withLock(real, DATA, 0, () => Promise.resolve('free again'))).toBe('free again');
  });

  it('leaves an empty folder that was there before', async () => {
    const machine = createFakeMachine();
    machine.files.makeDirectory(DATA, { mode: 0o755 });
    const clean = machine.dump();
    await withLock(createFakeHost(machine, createGate()), DATA, 0, () => Promise.resolve());
    expect(machine.dump()).toEqual(clean);
  });

  it('sweeps up what a kill in the middle of a write has left', async () => {
    const machine = createFakeMachine();
    machine.files.makeDirectory(DATA, { mode: 0o711 });
    machine.files.put(`${DATA}/.shared.json.runspec-new`, '{"boo');
    await withLock(createFakeHost(machine, createGate()), DATA, 0, () => Promise.resolve());
    expect(machine.files.find(DATA)).toBeUndefined();
  });

  it('says what is wrong with a folder that cannot be used', async () => {
    const machine = createFakeMachine();
    machine.files.put('/var/lib/file', '');
    const host = createFakeHost(machine, createGate());
    await expect(withLock(host, '/var/lib/file/data', 0, () => Promise.resolve())).rejects.toThrow(
      'cannot use the data folder /var/lib/file/data: not a directory',
    );
  });
});
