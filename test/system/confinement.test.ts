// What a container's process cannot see or reach, asked from inside by test/fixtures/probe.pl, as its own
// process and by exec; and what other users of the host cannot read of it.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { archive, entry } from '../image/write-tar.ts';
import { findCgroups } from '../support/cgroups.ts';
import { succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';
import type { Snapshot } from '../support/snapshot.ts';

const PROBE = fs.readFileSync(path.join(import.meta.dirname, '../fixtures/probe.pl'), 'utf8');
const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');
const SECRET = 'a-secret-of-the-caller-5b1f';

/** Errno: refused by a right or the filter, or unknown to the filter. */
const [EPERM, ENOENT, EACCES, EROFS, ENOSYS] = ['1', '2', '13', '30', '38'];

type Findings = readonly (readonly string[])[];

const supported = requireSystem() && process.arch === 'x64';

describe.skipIf(!supported)('confinement', () => {
  let host: TestHost;
  let before: Snapshot;
  let name: string;
  const found: Record<string, Findings> = {};

  beforeAll(async () => {
    host = await createTestHost();
    // Everybody may look into these: what is below has to protect itself.
    await host.output(['chmod', '755', '.', host.stateDir, host.dataDir]);
    const setuid = entry({ name: 'usr/bin/setuid', data: '#!/bin/sh\n', mode: 0o4755 });
    fs.writeFileSync(path.join(host.folder, 'setuid.tar'), archive(setuid));
    name = host.name('jail');
    const spec = JSON.stringify({
      runspec: 1,
      name,
      rootfs: { host: { files: ['/usr/bin/perl', '/bin/sh', '/bin/cat'] } },
      layers: [{ tarball: './setuid.tar' }, { files: { '/probe.pl': PROBE } }],
      process: { args: ['/usr/bin/perl', '/probe.pl', 'stay'], stopTimeout: '10ms' },
      resources: { pids: 20 },
      mounts: [{ type: 'volume', source: 'kept', destination: '/kept' }],
    });
    const neighbour = host.write('neighbour.json', spec.replace(name, host.name('neighbour')));
    const file = host.write('jail.json', spec);
    before = await host.snapshot();
    const applied = await host.exec([process.execPath, CLI, '--quiet', 'apply', file, neighbour], {
      env: { CALLERS_SECRET: SECRET, NOTIFY_SOCKET: SECRET, LISTEN_FDS: '1' },
    });
    if (applied.status !== 0) throw new Error(applied.stderr);
    found['as its process'] = parse(await logUntilEnd(host, name));
    const executed = await host.exec(
      [process.execPath, CLI, 'exec', name, '--', '/usr/bin/perl', '/probe.pl'],
      { env: { CALLERS_SECRET: SECRET } },
    );
    if (executed.status !== 0) throw new Error(executed.stderr);
    found['by exec'] = parse(executed.stdout);
  });

  afterAll(async () => {
    try {
      await succeed(host, 'down', '--all', '--volumes');
      const left = await host.settledDiff(before);
      if (left.length > 0) throw new Error(`the host is not as it was before:\n${left.join('\n')}`);
    } finally {
      await host.destroy();
    }
  });

  describe.each(['as its process', 'by exec'])('%s', (who) => {
    const values = (kind: string): Findings =>
      (found[who] ?? []).filter(([first]) => first === kind).map(([, ...rest]) => rest);
    const valueOf = (kind: string, key: string): string | undefined =>
      values(kind).find(([first]) => first === key)?.[1];

    it('is refused every system call that reaches the kernel itself, and told of no unknown one', () => {
      const calls = values('call');
      expect(calls.length).toBeGreaterThan(25);
      const allowed = calls.filter(([, errno]) => errno !== EPERM && errno !== ENOSYS);
      expect(allowed).toEqual([]);
      expect(valueOf('call', 'unknown')).toBe(ENOSYS);
    });

    it('has the capabilities of Docker, no way to more, and a filter', () => {
      expect(Object.fromEntries(values('status'))).toMatchObject({
        CapBnd: '00000000a80425fb',
        CapEff: '00000000a80425fb',
        CapInh: '0000000000000000',
        CapAmb: '0000000000000000',
        NoNewPrivs: '1',
        Seccomp: '2',
      });
    });

    it('inherits no descriptor', () => {
      expect(values('fd').map(([fd]) => fd)).toEqual(['0', '1', '2']);
      for (const [, target] of values('fd')) expect(target).toMatch(/^(pipe:|socket:|\/dev\/null$)/);
    });

    it('sees its own processes only', () => {
      const own = who === 'by exec' ? ['1', 'self'] : ['self'];
      expect(values('pid').flat()).toEqual(own);
    });

    it('sees no environment but its own', () => {
      expect(values('env').flat().toSorted()).toEqual(['HOME', 'HOSTNAME', 'PATH']);
    });

    it('sees its cgroup as the root, and can write to none', () => {
      expect(new Set(values('cgroup').flat())).toEqual(new Set(['/']));
    });

    it('has no mount that others see, and nothing of the host but what was asked for', () => {
      const mounts = values('mount');
      expect(mounts.length).toBeGreaterThan(8);
      expect(mounts.filter((mount) => /shared:|master:/.test(mount.join(' ')))).toEqual([]);
    });

    it('has a network of its own, with loopback only', () => {
      expect(values('link').flat()).toEqual(['lo']);
    });

    it('cannot write to the kernel: sysrq, sysctls, interrupts, cgroups', () => {
      const writes = values('write');
      expect(writes.length).toBeGreaterThan(5);
      expect(writes.filter(([, errno]) => ![EROFS, EACCES, EPERM, ENOENT].includes(errno ?? ''))).toEqual([]);
      // Kernels without magic keys have no such file.
      expect(valueOf('write', '/proc/sysrq-trigger')).toBe(
        fs.existsSync('/proc/sysrq-trigger') ? EROFS : ENOENT,
      );
      expect(valueOf('write', '/proc/sys/kernel/hostname')).toBe(EROFS);
    });

    it('finds masked paths empty', () => {
      expect(values('masked').length).toBeGreaterThan(2);
      expect(values('masked').filter(([, size]) => size !== '0')).toEqual([]);
    });

    it('cannot open a device it makes, unless every container may', () => {
      expect(Object.fromEntries(values('device'))).toEqual({
        mem: EPERM,
        sda: EPERM,
        vda: EPERM,
        kmsg: EPERM,
        null: 'open',
      });
    });
  });

  it('puts the process into its cgroup, and its monitor into another', async () => {
    const roots = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'];
    const own = roots.map((root) => `${root}/runspec/${name}`);
    expect(findCgroups(host.prefix).some((folder) => own.includes(folder))).toBe(true);
    const rows = JSON.parse((await host.runspec('ps', '--json')).stdout) as { name: string; pid: number }[];
    expect(rows.map((row) => row.name).toSorted()).toEqual([name, host.name('neighbour')].toSorted());
  });

  it("keeps the caller's environment out of the container, its monitor, its records and its log", async () => {
    const script = `
      for pid in /proc/[0-9]*; do
        for file in environ cmdline; do
          if tr '\\0' '\\n' <$pid/$file 2>/dev/null | grep -q -- "$1"; then echo "$pid/$file: $(cat $pid/comm)"; fi
        done
      done
      grep -rl -- "$1" "$2" "$3" || [ $? -eq 1 ]`;
    const found = await host.output([
      'sh',
      '-c',
      script.replaceAll('"$1"', `"${SECRET.slice(0, 12)}""${SECRET.slice(12)}"`),
      'sh',
      '',
      host.dataDir,
      host.stateDir,
    ]);
    expect(found).toBe('');
    const { stdout } = await host.runspec('status', name, '--json');
    expect(stdout).not.toContain(SECRET);
  });

  it('keeps everything below its folders from other users, setuid programs of images most of all', async () => {
    const everything = (await host.output(['find', host.dataDir, host.stateDir, '-mindepth', '1']))
      .trim()
      .split('\n');
    expect(everything.some((file) => file.endsWith('/usr/bin/setuid'))).toBe(true);
    expect(everything.some((file) => file.endsWith('/config.json'))).toBe(true);
    expect(everything.some((file) => file.endsWith('/volumes/kept'))).toBe(true);
    const script =
      'while read -r file; do if [ -r "$file" ] || { [ -x "$file" ] && [ ! -d "$file" ]; }; then echo "$file"; fi; done';
    const reached = await host.output(
      ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'sh', '-c', script],
      { stdin: `${everything.join('\n')}\n` },
    );
    expect(reached.trim()).toBe('');
  });

  it('has nothing that everybody may write to, but what images bring', async () => {
    const found = await host.output([
      'find',
      host.dataDir,
      host.stateDir,
      '-mindepth',
      '1',
      '-perm',
      '-2',
      '-not',
      '-type',
      'l',
    ]);
    const own = found
      .trim()
      .split('\n')
      .filter((file) => file !== '' && !/\/images\/layers\/|\/rootfs\/|\/upper(?:-[0-9a-f]+)?\//.test(file));
    expect(own).toEqual([]);
  });
});

async function logUntilEnd(host: TestHost, name: string): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const { stdout } = await host.runspec('logs', name);
    if (stdout.endsWith('end\n')) return stdout;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(
    `the probe in ${name} did not come to its end: ${JSON.stringify(await host.runspec('logs', name))}`,
  );
}

function parse(text: string): Findings {
  return text
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
}
