// What outlives a container on purpose, and how it goes after all.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { inside, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec } from '../support/specs.ts';

type Spec = ReturnType<typeof writeSpec>;

describe.skipIf(!requireSystem())('volumes and persistent layers', () => {
  const getHost = shareHost();
  const keys = (volume: string) => ({
    writable: 'persistent',
    process: { args: WAIT },
    mounts: [{ type: 'volume', source: volume, destination: '/var/lib/data' }],
  });

  it('outlive a plain down with what is in them, and go with down --volumes after it', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'kept', keys('data'));
    await succeed(host, 'apply', file);
    await inside(host, name)(['touch', '/var/lib/data/mine', '/root-file']);
    await succeed(host, 'down', name);
    expect(fs.existsSync(path.join(host.dataDir, 'volumes/data/mine'))).toBe(true);
    await succeed(host, 'apply', file);
    expect((await inside(host, name)(['ls', '/var/lib/data/mine', '/root-file'])).status).toBe(0);
    await succeed(host, 'down', name);
    expect(await host.runspec('gc', '--dry-run')).toMatchObject({
      stdout: '',
      stderr: 'nothing is left behind\n',
    });
    const { stderr } = await host.runspec('down', '--volumes', name);
    expect(stderr).toBe(`${name}: removed its writable layer, volume data\n`);
    expect(fs.readdirSync(host.dataDir)).toEqual(['images']);
    expect((await host.runspec('down', '--volumes', name)).stderr).toBe(`${name} is not up\n`);
  });

  it('leave nothing when a kill came before it was written down that they are gone', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'cut', keys('short'));
    await succeed(host, 'apply', file);
    await succeed(host, 'down', name);
    for (const folder of ['volumes', 'writable'])
      fs.rmSync(path.join(host.dataDir, folder), { recursive: true });
    await succeed(host, 'down', '--volumes', name);
    expect(fs.readdirSync(host.dataDir)).toEqual(['images']);
  });

  it('are told of by ps when their container is down, and go with down --all --volumes', async () => {
    const host = getHost();
    const [one, two] = ['first', 'second'].map((base) => writeSpec(host, base, keys('both'))) as [Spec, Spec];
    await succeed(host, 'apply', one.file, two.file);
    expect((await host.runspec('ps')).stderr).toBe('');
    await succeed(host, 'down', one.name);
    const told = (name: string, ...kept: readonly string[]): string =>
      `kept of ${name}, which is down: ${kept.join(', ')}; remove with: runspec down --volumes ${name}\n`;
    // The volume is still another's.
    expect((await host.runspec('ps')).stderr).toBe(told(one.name, 'its writable layer'));
    await succeed(host, 'down', two.name);
    const all = [one, two].map(({ name }) => told(name, 'its writable layer', 'volume both'));
    expect(await host.runspec('ps')).toMatchObject({ status: 0, stderr: all.join('') });
    expect((await host.runspec('ps', '--quiet')).stderr).toBe('');
    expect((await host.runspec('ps', '--json')).stderr).toBe('');
    await succeed(host, 'apply', two.file);
    const events = (await succeed(host, 'down', '--all', '--volumes', '--json')).trim().split('\n');
    expect(events.map((line) => JSON.parse(line) as unknown)).toContainEqual({
      event: 'progress',
      container: one.name,
      step: '',
      text: 'removed its writable layer',
    });
    expect(fs.readdirSync(host.dataDir)).toEqual(['images']);
    expect((await host.runspec('ps')).stderr).toBe('');
  });

  it('stay while another container has them, be it up or down', async () => {
    const host = getHost();
    const one = writeSpec(host, 'one', keys('common'));
    const two = writeSpec(host, 'two', keys('common'));
    await succeed(host, 'apply', one.file);
    await succeed(host, 'apply', two.file);
    const volume = path.join(host.dataDir, 'volumes/common');
    await succeed(host, 'down', one.name);
    await succeed(host, 'down', '--volumes', one.name);
    expect(fs.existsSync(volume)).toBe(true);
    await succeed(host, 'down', two.name);
    expect(fs.existsSync(volume)).toBe(true);
    await succeed(host, 'down', '--volumes', two.name);
    expect(fs.existsSync(volume)).toBe(false);
  });

  it('stay while another container, which is down, has left its data there', async () => {
    const host = getHost();
    const one = writeSpec(host, 'one', keys('common'));
    const two = writeSpec(host, 'two', keys('common'));
    const volume = path.join(host.dataDir, 'volumes/common');
    await succeed(host, 'apply', one.file, two.file);
    await succeed(host, 'down', two.name);
    const { stderr } = await host.runspec('down', '--volumes', one.name);
    expect(stderr).toMatch(
      new RegExp(`^= .*volumes/common.* \\(kept: ${two.name} had it too, and is down\\)`, 'm'),
    );
    expect(fs.existsSync(volume)).toBe(true);
    await succeed(host, 'down', '--volumes', two.name);
    expect(fs.readdirSync(host.dataDir)).toEqual(['images']);
    // Both in one call: neither keeps it for the other.
    await succeed(host, 'apply', one.file, two.file);
    await succeed(host, 'down', '--volumes', one.name, two.name);
    expect(fs.readdirSync(host.dataDir)).toEqual(['images']);
    await succeed(host, 'apply', one.file, two.file);
    await succeed(host, 'down', one.name);
    await succeed(host, 'down', '--volumes', two.name, one.name);
    expect(fs.readdirSync(host.dataDir)).toEqual(['images']);
  });

  it('of a layer are told to stay by the plan of a spec that no longer has it', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'left', { writable: 'persistent' });
    await succeed(host, 'apply', file);
    writeSpec(host, 'left');
    const { stdout: plan } = await host.runspec('plan', file);
    const folder = path.join(host.dataDir, 'writable');
    const told = plan.split('\n').flatMap((line) => /^ *= \S+ +folder (.*)$/.exec(line)?.[1] ?? []);
    const layer = path.join(folder, name);
    expect(told.toSorted()).toEqual([folder, layer, `${layer}/upper`, `${layer}/work`]);
    expect(plan).toMatch(/: 3 to create, 0 to update, 3 to replace, 0 to delete\n$/);
    const { stderr } = await host.runspec('apply', file);
    const kept = stderr.split('\n').flatMap((line) => /^= .* folder (.*) \(kept: /.exec(line)?.[1] ?? []);
    expect(kept.toSorted()).toEqual(told.toSorted());
    expect(stderr.match(/^\+ /gm)).toHaveLength(3);
    await succeed(host, 'down', '--volumes', name);
    expect(fs.readdirSync(host.dataDir)).toEqual(['images']);
  });

  it('that the spec no longer has go with down --volumes too', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'moved', keys('former'));
    await succeed(host, 'apply', file);
    writeSpec(host, 'moved', keys('later'));
    const { stdout: plan } = await host.runspec('plan', file);
    expect(plan).toMatch(/= volume:former .*\n +no longer in the spec: kept until down --volumes\n/);
    expect(plan).toMatch(/, 0 to delete\n$/);
    await succeed(host, 'apply', file);
    expect(fs.existsSync(path.join(host.dataDir, 'volumes/former'))).toBe(true);
    const { stderr } = await host.runspec('down', '--volumes', name);
    expect(stderr).toMatch(/removed volume former$/m);
    expect(fs.readdirSync(host.dataDir)).toEqual(['images']);
  });
});
