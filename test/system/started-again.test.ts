// A process that has ended leaves its root to the next start of it: what runtimes would follow out of it, or wait for without
// end, is found before one is begun. And whatever a runtime waits for, a signal ends it.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, succeed, waitForEnd } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { findTools, WAIT, writeSpec } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

/** What the process does before it ends, and what the next apply says of it. */
const LEFT: Readonly<Record<string, readonly [script: string, reason: RegExp]>> = {
  'a fifo for /etc/passwd': [
    'rm -f /etc/passwd; mkfifo /etc/passwd',
    /\/etc\/passwd in the root file system is a fifo, not a file/,
  ],
  'a terminal for /etc/group': [
    'rm -f /etc/group; ln -s /dev/tty /etc/group',
    /\/etc\/group in the root file system is a link into \/dev or \/proc, not a file/,
  ],
  'a descriptor of the runtime for its cwd': [
    'cd /; rm -r /work; ln -s /proc/self/fd/7 /work',
    /the working folder \/work leads into \/proc/,
  ],
  'nothing for its program': ['rm /usr/bin/bash /bin/bash 2>/dev/null; true', /no program \S+ in the root/],
};

describe.skipIf(!requireSystem())('a process that is started again', () => {
  const getHost = shareHost();

  it.each(Object.entries(LEFT))('in a root with %s is not', async (_, [script, reason]) => {
    const host = getHost();
    const { name, file } = writeSpec(host, 'again', {
      rootfs: { host: { files: findTools() } },
      layers: [{ files: { '/etc/passwd': 'root:x:0:0::/:/bin/bash\n', '/work/file': '' } }],
      process: { args: ['bash', '-c', script], cwd: '/work', stopTimeout: '0s' },
    });
    const before = await host.snapshot();
    await succeed(host, 'apply', file);
    await waitForEnd(host, name);
    const again = await host.exec(['timeout', '30', process.execPath, CLI, 'apply', file]);
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(reason);
    expect(again.stderr).toMatch(/^ +hint: /m);
    expect((await find(host, name)).pid).toBeNull();
    await succeed(host, 'down', name);
    expect(await host.settledDiff(before)).toEqual([]);
  });
});

describe.skipIf(!requireSystem())('a job that has ended', () => {
  const getHost = shareHost();

  it('does nothing once more for an apply that fails, and keeps how it ended', async () => {
    const host = getHost();
    const write = (keys: object) =>
      writeSpec(host, 'job', {
        mounts: [{ type: 'volume', source: 'told', destination: '/told' }],
        process: { args: ['bash', '-c', 'echo done >>/told/log; exit 7'], stopTimeout: '0s' },
        ...keys,
      });
    const { file, name } = write({});
    const before = await host.snapshot();
    await succeed(host, 'apply', file);
    await waitForEnd(host, name);
    const { finishedAt } = await find(host, name);
    const told = path.join(host.dataDir, 'volumes/told/log');
    for (const keys of [
      { sysctls: { 'net.ipv4.ip_default_ttl': '999' } },
      { hostname: 'other', dns: { servers: ['192.0.2.1'] }, sysctls: { 'net.core.none': '1' } },
    ]) {
      write(keys);
      const failed = await host.runspec('apply', file);
      expect(failed.status).toBeGreaterThan(0);
      expect(fs.readFileSync(told, 'utf8')).toBe('done\n');
      expect(await find(host, name)).toMatchObject({ exitStatus: 7, finishedAt });
    }
    write({});
    await succeed(host, 'apply', file);
    await waitForEnd(host, name);
    expect(fs.readFileSync(told, 'utf8')).toBe('done\ndone\n');
    await succeed(host, 'down', '--volumes', name);
    expect(await host.settledDiff(before)).toEqual([]);
  });
});

describe.skipIf(!requireSystem())('a runtime that waits without end', () => {
  const getHost = shareHost();

  it.each(['SIGINT', 'SIGTERM'] as const)('in its create is ended by %s', async (signal) => {
    const host = getHost();
    const { file } = writeSpec(host, 'waits', { process: { args: WAIT, stopTimeout: '0s' } });
    const reached = path.join(host.folder, 'reached');
    const wrapper = host.write(
      'specs/waiting/runc',
      `#!/bin/sh\ncase " $* " in *' create '*) touch ${reached}; exec sleep 1000 ;; esac\nPATH=\${PATH#*:}; exec runc "$@"\n`,
    );
    fs.chmodSync(wrapper, 0o755);
    const before = await host.snapshot();
    const PATH = `${path.dirname(wrapper)}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
    const apply = await host.start(['env', `PATH=${PATH}`, process.execPath, CLI, 'apply', file]);
    await expect.poll(() => fs.existsSync(reached), { timeout: 30_000, interval: 50 }).toBe(true);
    process.kill(apply.pid, signal);
    const { status } = await apply.ended;
    expect(status).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(apply.written()).toContain(`interrupted by ${signal}`);
    fs.rmSync(reached);
    expect(await host.settledDiff(before)).toEqual([]);
  });
});
