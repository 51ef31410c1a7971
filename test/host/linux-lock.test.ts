// The lock against real other processes.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { OperationError } from '../../src/errors.ts';
import type { CommandResult } from '../../src/host/host.ts';
import { createLinuxHost } from '../../src/host/linux.ts';
import { lockGeneration, withLock } from '../../src/run/lock.ts';
import { bundleHost } from './bundle-host.ts';

const host = createLinuxHost();
let folder: string;
let file: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-host-'));
  file = path.join(folder, 'lock');
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

it('is taken by one at a time and again after its release', async () => {
  const first = await host.lock(file, 0);
  expect(first).toBeDefined();
  expect(await host.lock(file, 0)).toBeUndefined();
  await first?.release();
  const second = await host.lock(file, 0);
  expect(second).toBeDefined();
  await second?.release();
  expect(fs.statSync(file).mode & 0o777).toBe(0o600);
});

it('tells what is wrong when programs cannot be started, and does not end without a word', () => {
  const script = `
    const { execFileSync } = await import('node:child_process');
    const { closeSync, openSync } = await import('node:fs');
    const { createLinuxHost } = await import(${JSON.stringify(bundleHost(folder))});
    const host = createLinuxHost();
    execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=64:']);
    const opened = [];
    try {
      for (;;) opened.push(openSync('/dev/null'));
    } catch {
      // One is left, for the file of the lock.
      closeSync(opened.pop());
    }
    const ip = await host.run(['ip', 'addr', 'show']);
    const lock = await host.lock(${JSON.stringify(file)}, 0).catch(({ message, hint }) => ({ message, hint }));
    console.log(JSON.stringify({ ip, lock }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  const found = JSON.parse(stdout) as { readonly ip: CommandResult; readonly lock: OperationError };
  expect(found.ip.status).toBeUndefined();
  expect(found.ip.stderr).toMatch(/^cannot start ip: spawn ip EMFILE/);
  expect(found.lock).toMatchObject({
    message: expect.stringContaining('EMFILE') as unknown,
    hint: expect.stringContaining('ulimit -n') as unknown,
  });
});

it('waits as long as it was told, and takes the lock when it comes free', async () => {
  const first = await host.lock(file, 0);
  const begun = performance.now();
  expect(await host.lock(file, 300)).toBeUndefined();
  expect(performance.now() - begun).toBeGreaterThan(280);
  const waiting = host.lock(file, 10_000);
  await first?.release();
  const second = await waiting;
  expect(second).toBeDefined();
  await second?.release();
});

it('says whether its file was made for it, before it waits for anything', async () => {
  let made = 0;
  const count = (): void => void (made += 1);
  const first = await host.lock(file, 0, count);
  expect([made, first?.isNew]).toEqual([1, true]);
  expect(await host.lock(file, 0, count)).toBeUndefined();
  await first?.release();
  // As a kill leaves it: whoever held it may have changed things.
  const second = await host.lock(file, 0, count);
  expect([made, second?.isNew]).toEqual([1, false]);
  fs.rmSync(file);
  const third = await host.lock(file, 0, count);
  expect([made, third?.isNew]).toEqual([2, true]);
  await second?.release();
  await third?.release();
});

it('leaves a trace on its folder, by which it is seen that somebody has held it', async () => {
  const before = await lockGeneration(host, folder);
  // Some kernels take the time of a file from a clock that ticks every 10 ms.
  await host.sleep(20);
  expect(await lockGeneration(host, folder)).toBe(before);
  await withLock(host, folder, 0, async () => undefined);
  expect(before).toBeDefined();
  expect(await lockGeneration(host, folder)).not.toBe(before);
});

it('leaves no file where flock(1) is not installed', async () => {
  vi.stubEnv('PATH', folder);
  try {
    await expect(host.lock(file, 0)).rejects.toMatchObject({ hint: 'install flock, part of util-linux' });
    expect(fs.readdirSync(folder)).toEqual([]);
  } finally {
    vi.unstubAllEnvs();
  }
});

it('never has two holders, though many ask at once and the file is removed under them', async () => {
  let holders = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const lock = await host.lock(file, 20_000);
      holders += 1;
      most = Math.max(most, holders);
      await host.sleep(5);
      if (index % 2 === 0) fs.rmSync(file);
      holders -= 1;
      await lock?.release();
    }),
  );
  expect(most).toBe(1);
});

it('is dropped by the kernel when its holder is killed, even with children of the holder alive', async () => {
  const bundle = bundleHost(folder);
  const script = `
    const { createLinuxHost } = await import(${JSON.stringify(bundle)});
    const host = createLinuxHost();
    await host.lock(${JSON.stringify(file)}, 0);
    const child = host.spawn(['sleep', '60'], { stdio: ['null', 'null', 'null'], detached: true });
    console.log(child.pid);
    setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const child = await new Promise<number>((resolve) =>
    holder.stdout.once('data', (text) => resolve(Number(text))),
  );
  try {
    expect(await host.lock(file, 0)).toBeUndefined();
    holder.kill('SIGKILL');
    const lock = await host.lock(file, 5_000);
    expect(lock).toBeDefined();
    await lock?.release();
  } finally {
    process.kill(child, 'SIGKILL');
  }
});
