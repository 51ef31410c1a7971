import { describe, expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { awaitProgram } from '../../src/runtime/begun.ts';
import { createFixtureHost } from '../host/fixture-host.ts';

const COPY = '/memfd:runc_cloned:/proc/self/exe (deleted)';

/** How long a process of this name, which executes this file, is waited for, in milliseconds. */
async function waited(comm: string, exe: string, own: string | undefined): Promise<number> {
  let time = 0;
  const host: Host = {
    ...createFixtureHost({ files: { '/proc/7/comm': `${comm}\n` }, links: { '/proc/7/exe': exe } }),
    monotonic: () => time,
    sleep: async (milliseconds) => void (time += milliseconds),
  };
  const isKnown = await awaitProgram(host, 7, 'runc', own, async () => false);
  expect(isKnown).toBe(time < 2000);
  return time;
}

describe('a process that is started', () => {
  it.each([
    ['a program', 'nginx', '/usr/sbin/nginx', '/'],
    ['a program, whatever its name', 'exe', '/opt/exe', '/'],
    ['a program with the name of a runtime', 'runc', '/usr/bin/runc', '/'],
    ['a program whose name is a number', '1234', '/srv/1234', COPY],
    ['a program, where nothing is known of the runtime', 'nginx', '/usr/sbin/nginx', undefined],
  ])('is taken for %s at once', async (_, comm, exe, own) => {
    expect(await waited(comm, exe, own)).toBe(0);
  });

  it.each([
    ['the init of runc', 'runc:[2:INIT]', '/', '/'],
    ['the init of runc, in memory', 'runc:[2:INIT]', COPY, COPY],
    ['what runc executes on the way', 'exe', '/memfd:runc_cloned:runc-dmz (deleted)', COPY],
    ['a runtime, where nothing else is known of it', 'crun', '/usr/bin/crun', undefined],
  ])('is waited for as %s', async (_, comm, exe, own) => {
    expect(await waited(comm, exe, own)).toBeGreaterThanOrEqual(2000);
  });
});
