// Disks that are full or read-only: a clear error that names the place, nothing torn, nothing left; and what
// is up stays up, and comes down.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, identify, list, succeed } from '../support/containers.ts';
import { writeFullSpec } from '../support/full-spec.ts';
import { requireSystem } from '../support/requirements.ts';
import { settledSnapshot } from '../support/settle.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';

describe.skipIf(!requireSystem())('a full disk', () => {
  let full: Awaited<ReturnType<typeof writeFullSpec>>;
  let before: Awaited<ReturnType<TestHost['snapshot']>>;
  const getHost = shareHost({
    prepare: (host) =>
      host.output(['mount', '-t', 'tmpfs', '-o', 'size=64m,mode=700', 'tmpfs', host.dataDir]),
    start: async (host) => {
      full = await writeFullSpec(host);
      // Layers stay in the store.
      await succeed(host, 'apply', full.file);
      await succeed(host, 'down', '--volumes', full.name);
      before = await host.snapshot();
    },
  });
  /** Leaves so many KiB of the data folder's disk. */
  const fill = (kibibytes: number) => {
    const file = path.join(getHost().dataDir, 'images/fill');
    const script = `dd if=/dev/zero of="$0" bs=4k 2>/dev/null; truncate -s -${kibibytes}k "$0"`;
    return getHost().output(['sh', '-c', script, file]);
  };
  const free = () => getHost().output(['rm', '-f', path.join(getHost().dataDir, 'images/fill')]);

  // From no room for the plan to too little for the last record.
  it.each([0, 8, 20, 24, 28, 36, 48, 60])(
    'with %i KiB left makes apply fail, and leaves nothing',
    async (left) => {
      const host = getHost();
      await fill(left);
      const { status, stderr } = await host.runspec('apply', full.file);
      // What is left is looked for with the disk still full: the way back needs no room.
      const found = await list(host);
      await free();
      expect(status).toBe(1);
      expect(stderr).toMatch(/ENOSPC|no space left/i);
      expect(stderr).toContain(host.dataDir);
      expect(stderr).toContain('hint: the disk');
      expect(stderr).not.toContain('not cleaned up');
      expect(found).toEqual([]);
      expect(await host.settledDiff(before)).toEqual([]);
    },
  );

  it('lets a run go on whose output has filled it, and give its status', async () => {
    const host = getHost();
    const script = 'print "x" x 1023, "\\n" for 1 .. 4096; exit 7';
    const { file } = writeSpec(host, 'flood', { process: { args: ['perl', '-e', script] } });
    await fill(1024);
    const { status, stdout, stderr } = await host.runspec('run', file);
    await free();
    expect(stderr).toMatch(/^runspec: its log has gaps: ENOSPC/m);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout.length).toBe(4096 * 1024);
    expect(status).toBe(7);
    await host.output(['rm', file]);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('lets what is up go on, keep its log once there is room, and come down', async () => {
    const host = getHost();
    const script =
      '$| = 1; $SIG{TERM} = sub { exit 0 }; while (1) { print "line ", $n++, "\\n"; select undef, undef, undef, 0.01 }';
    const { file, name } = writeSpec(host, 'chatty', {
      process: { args: ['perl', '-e', script], stopTimeout: '5s' },
    });
    await succeed(host, 'apply', file);
    const identity = await identify(host, name);
    const last = async () =>
      Number(/line (\d+)/.exec(await succeed(host, 'logs', '--tail', '1', name))?.[1] ?? -1);
    await expect.poll(last, { timeout: 20_000 }).toBeGreaterThan(0);
    await fill(0);
    const stuck = await last();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await identify(host, name)).toBe(identity);
    await free();
    await expect.poll(last, { timeout: 20_000 }).toBeGreaterThan(stuck + 50);
    expect(await identify(host, name)).toBe(identity);
    await fill(0);
    await succeed(host, 'down', name);
    await free();
    await host.output(['rm', file]);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('of the state folder is named, and nothing is left', async () => {
    const host = getHost();
    await host.output(['mount', '-t', 'tmpfs', '-o', 'size=16k,mode=700', 'tmpfs', host.stateDir]);
    const { status, stderr } = await host.runspec('apply', full.file);
    await host.output(['umount', host.stateDir]);
    expect(status).toBe(1);
    expect(stderr).toContain(`hint: the disk of ${host.stateDir}`);
    expect(await host.settledDiff(before)).toEqual([]);
  });
});

describe.skipIf(!requireSystem())('a read-only disk', () => {
  const getHost = shareHost();
  const protect = (folder: string, ...options: readonly string[]) =>
    getHost().output(['mount', ...options, folder]);

  it.each(['dataDir', 'stateDir'] as const)('of the %s is named, and nothing is left', async (place) => {
    const host = getHost();
    const { file } = writeSpec(host, 'web', { network: { ports: ['8080:80'] } });
    await succeed(host, 'apply', file);
    await succeed(host, 'down', host.name('web'));
    const before = await host.snapshot();
    await protect(host[place], '-t', 'tmpfs', '-o', 'ro,mode=700', 'tmpfs');
    const { status, stderr } = await host.runspec('apply', file);
    await host.output(['umount', host[place]]);
    expect(status).toBe(place === 'dataDir' ? 2 : 1);
    expect(stderr).toMatch(/read-only/);
    expect(stderr).toContain(host[place]);
    expect(stderr).toMatch(/hint: .*--(?:data|state)-dir/);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('of the records keeps what is up from coming down by half, and lets it be looked at', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'up', { network: { ports: ['8080:80'] } });
    await succeed(host, 'apply', file);
    const identity = await identify(host, name);
    const up = await settledSnapshot(host);
    await protect(host.dataDir, '--bind', host.dataDir);
    await protect(host.dataDir, '-o', 'remount,bind,ro');
    const { status, stderr } = await host.runspec('down', name);
    expect(status).toBe(2);
    expect(stderr).toContain(`cannot use the data folder ${host.dataDir}: read-only file system`);
    expect((await find(host, name)).state).toBe('running');
    expect((await host.runspec('status', name)).status).toBe(0);
    await host.output(['umount', host.dataDir]);
    expect(await identify(host, name)).toBe(identity);
    expect(await host.settledDiff(up)).toEqual([]);
    await succeed(host, 'down', name);
  });
});
