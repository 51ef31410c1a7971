// A container whose process had ended before an apply, which started it again and then came to nothing because of another
// container: the process ends once more, and all that tells how it had ended is back.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { drift, find, identify, list, succeed, waitForEnd } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { type SpecKeys, WAIT, writeSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';

const GREEDY: SpecKeys = {
  resources: { memory: '20M' },
  process: { args: ['perl', '-e', '$x = "x" x 60_000_000; sleep 1000'], stopTimeout: '0s' },
};

const wait = { args: WAIT, stopTimeout: '0s' };

describe.skipIf(!requireSystem())('a process that had ended before an apply', () => {
  const getHost = shareHost();

  /** Without the specs, which are written anew. */
  const left = async (before: Awaited<ReturnType<TestHost['snapshot']>>) =>
    (await getHost().settledDiff(before)).filter((line) => !line.includes('/specs/'));

  /** One container that has ended, and another that runs, and whose next start takes a while and fails. */
  const prepare = async (keys: SpecKeys = GREEDY) => {
    const host = getHost();
    const ended = writeSpec(host, 'ended', keys);
    const other = writeSpec(host, 'other', { process: wait });
    const before = await host.snapshot();
    await succeed(host, 'apply', ended.file, other.file);
    const row = await waitForEnd(host, ended.name);
    const runtime = host.write('specs/refuses', '#!/bin/sh\nsleep 2\nexit 1\n');
    fs.chmodSync(runtime, 0o755);
    writeSpec(host, 'other', { process: wait, runtime });
    return {
      host,
      ended,
      other,
      before,
      row,
      aside: path.join(host.dataDir, 'containers', ended.name, 'ended'),
    };
  };

  it.each<[string, SpecKeys, SpecKeys]>([
    ['with less memory than it was given now', GREEDY, { ...GREEDY, resources: { memory: '400M' } }],
    ['as it is in its spec', GREEDY, GREEDY],
    [
      'with another program',
      { process: { args: ['bash', '-c', 'exit 3'], stopTimeout: '0s' } },
      { process: wait },
    ],
    [
      'by a signal, and is out of memory only now',
      { ...GREEDY, process: { args: ['bash', '-c', 'kill -KILL $$'], stopTimeout: '0s' } },
      GREEDY,
    ],
  ])('%s has ended as it had, after a failure of another container', async (_, first, second) => {
    const { host, ended, other, before, row, aside } = await prepare(first);
    const rowOfOther = await find(host, other.name);
    writeSpec(host, 'ended', second);
    const failed = await host.runspec('apply', ended.file, other.file);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toMatch(/^[+±] \S+ +process of \S*ended\b/m);
    expect(failed.stderr).not.toContain('could not be undone');
    expect(await find(host, ended.name)).toEqual(row);
    expect(await find(host, other.name)).toMatchObject({ state: rowOfOther.state });
    expect(await drift(host, ended.name)).toEqual(['process absent']);
    expect(fs.existsSync(aside)).toBe(false);
    await succeed(host, 'down', ended.name, other.name);
    expect(await left(before)).toEqual([]);
  });

  /** An apply that has started the one again and still waits for the other's runtime. */
  const begin = async ({ host, ended, other }: Awaited<ReturnType<typeof prepare>>) => {
    writeSpec(host, 'ended', { ...GREEDY, resources: { memory: '400M' } });
    const apply = await host.startRunspec('apply', ended.file, other.file);
    await expect.poll(apply.written, { timeout: 20_000, interval: 10 }).toMatch(/^\+ \S+ +process of/m);
    return apply;
  };

  it('has ended as it had after SIGINT too', async () => {
    const prepared = await prepare();
    const { host, ended, other, before, row, aside } = prepared;
    const apply = await begin(prepared);
    apply.kill('SIGINT');
    expect((await apply.ended).status).toBe(130);
    expect(apply.written()).toContain('interrupted by SIGINT, rolled back');
    expect(await find(host, ended.name)).toEqual(row);
    expect(await drift(host, ended.name)).toEqual(['process absent']);
    expect(fs.existsSync(aside)).toBe(false);
    await succeed(host, 'down', ended.name, other.name);
    expect(await left(before)).toEqual([]);
  });

  it('is forgotten by the next apply when a kill ends this one', async () => {
    const prepared = await prepare();
    const { host, ended, other, before, aside } = prepared;
    const apply = await begin(prepared);
    apply.kill('SIGKILL');
    await apply.ended;
    expect(fs.existsSync(aside)).toBe(true);
    writeSpec(host, 'other', { process: wait });
    await succeed(host, 'apply', ended.file, other.file);
    expect(fs.existsSync(aside)).toBe(false);
    expect((await list(host)).map(({ state }) => state)).toEqual(['running', 'running']);
    await succeed(host, 'down', ended.name, other.name);
    expect(await left(before)).toEqual([]);
  });

  it('has ended as it had when the one that takes over its port fails ahead', async () => {
    const network = { bridge: 'end0', subnet: '10.73.0.0/24' };
    const first = { ...GREEDY, network: { ...network, address: '10.73.0.2', ports: ['8080:80'] } };
    const { host, ended, other, before, row } = await prepare(first);
    writeSpec(host, 'ended', { ...first, network: { ...first.network, ports: [] } });
    writeSpec(host, 'other', {
      process: { ...wait, user: 'nobody-has-this-name' },
      network: { ...network, address: '10.73.0.3', ports: ['8080:80'] },
    });
    const failed = await host.runspec('apply', ended.file, other.file);
    expect(failed.status).toBe(1);
    expect(failed.stderr).not.toMatch(/process of \S*ended\b/);
    expect(await find(host, ended.name)).toEqual(row);
    expect(await drift(host, ended.name)).toEqual(['process absent']);
    await succeed(host, 'down', ended.name, other.name);
    expect(await left(before)).toEqual([]);
  });

  it('runs after the failure where one that had not ended joins its namespaces', async () => {
    const { host, ended, other, before } = await prepare({
      process: {
        args: ['bash', '-c', '[ -e /tmp/ran ] && exec sleep 1000; touch /tmp/ran'],
        stopTimeout: '0s',
      },
      layers: [{ files: { '/tmp/empty': '' } }],
    });
    const joining = writeSpec(host, 'joining', {
      process: wait,
      namespaces: { ipc: `container:${ended.name}` },
    });
    await succeed(host, 'apply', ended.file, joining.file);
    await host.output(['kill', '-KILL', String((await find(host, ended.name)).pid)]);
    await waitForEnd(host, ended.name);
    await identify(host, joining.name);
    const failed = await host.runspec('apply', ended.file, joining.file, other.file);
    expect(failed.status).toBe(1);
    expect(failed.stderr).not.toContain('could not be undone');
    await identify(host, joining.name);
    expect(await drift(host, joining.name)).toEqual([]);
    await succeed(host, 'down', joining.name, ended.name, other.name);
    expect(await left(before)).toEqual([]);
  });
});
