// An apply that fails or is interrupted leaves the host as it was, and says which step and why.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { drift, identify, list, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';
import { type TestHost } from '../support/test-host.ts';
import { commandOf, descendants, signal } from '../torture/processes.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

const NETWORK = { bridge: 'conv0', subnet: '10.70.0.0/24', address: '10.70.0.2', ports: ['8080:80'] };

const WEB: SpecKeys = {
  process: { args: serve('web', 'tcp:80'), stopTimeout: '5s' },
  resources: { cpus: 0.5, memory: '64M', pids: 50 },
  network: NETWORK,
  dns: { servers: ['4.2.2.4'], hosts: { db: '10.70.0.9' } },
};

/** Of a process that was ended and started again. */
const MADE_ANEW = /./;

describe.skipIf(!requireSystem())('an apply that fails', () => {
  let before: Awaited<ReturnType<TestHost['snapshot']>>;
  const getHost = shareHost({
    start: async (host) => {
      // Layers stay in the store; what a failure leaves is looked for without them.
      const spec = writeSpec(host, 'first', { network: NETWORK });
      await succeed(host, 'apply', spec.file);
      await succeed(host, 'down', spec.name);
      fs.mkdirSync(`${host.folder}/specs`, { recursive: true });
    },
  });
  /** The plan believes that there are so many CPUs; the kernel knows better. */
  const withManyCpus = async <T>(work: () => Promise<T>): Promise<T> => {
    const host = getHost();
    const told = host.write('specs/cpus', '0-4095\n');
    const files = ['/sys/devices/system/cpu/possible', '/sys/fs/cgroup/cpuset/cpuset.cpus'].filter((file) =>
      fs.existsSync(file),
    );
    for (const file of files) await host.output(['mount', '--bind', told, file]);
    try {
      return await work();
    } finally {
      for (const file of files) await host.output(['umount', file]);
      fs.rmSync(told);
    }
  };
  const atOnce = <T>(work: () => Promise<T>): Promise<T> => work();
  const failing = async (base: string, keys: SpecKeys, where = atOnce) => {
    const host = getHost();
    const spec = writeSpec(host, base, { network: NETWORK, ...keys });
    before = await host.snapshot();
    const result = await where(() => host.runspec('apply', spec.file));
    expect(await host.settledDiff(before)).toEqual([]);
    expect(await list(host)).toEqual([]);
    return result;
  };

  it('for want of the program says so, with the step, and leaves nothing', async () => {
    const { status, stderr } = await failing('program', { process: { args: ['/no/such/program'] } });
    expect([1, 2]).toContain(status);
    expect(stderr).toMatch(/no program \/no\/such\/program/);
    expect(stderr).toMatch(/program\.json:\d+:\d+|bundle|process/);
  });

  it('for want of the user says so, and leaves nothing', async () => {
    const { status, stderr } = await failing('user', { process: { args: WAIT, user: 'nobody-knows' } });
    expect([1, 2]).toContain(status);
    expect(stderr).toContain('nobody-knows');
  });

  it('in the runtime names the step, the command, its words and a hint, and leaves nothing', async () => {
    const runtime = getHost().write(
      'specs/runtime',
      '#!/bin/sh\necho "the runtime has no mind to" >&2\nexit 9\n',
    );
    fs.chmodSync(runtime, 0o755);
    const { status, stderr } = await failing('runtime', { runtime });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: process: /m);
    expect(stderr).toContain('the runtime has no mind to');
    expect(stderr).toMatch(/^ {2}command: .*conmon/m);
  });

  it('because the runtime was killed when it had made the init says so, and waits for nobody', async () => {
    // The init of a killed `create` waits for a `start` that never comes, and holds what conmon reads from.
    const runtime = getHost().write(
      'specs/killed',
      '#!/bin/sh\ncase " $* " in *" create "*) sleep 1000 & kill -KILL $$ ;; esac\nexec runc "$@"\n',
    );
    fs.chmodSync(runtime, 0o755);
    const { status, stderr } = await failing('killed', { runtime });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /killed\.json:\d+:\d+: error: process: \S+ has made no process of .* says nothing$/m,
    );
  });

  it('because its program cannot be executed says so, however late conmon gets to write its words down', async () => {
    const runtime = getHost().write(
      'specs/late',
      '#!/bin/sh\ncase " $* " in *" start "*) ;; *) exec runc "$@" ;; esac\n' +
        'init=$(runc --root "$2" state "$4" | sed -n \'s/^ *"pid": \\([0-9]*\\).*/\\1/p\')\n' +
        'conmon=$(sed -n "s/^PPid:.//p" "/proc/$init/status")\n' +
        'kill -STOP "$conmon"; runc "$@"; (sleep 0.3; kill -CONT "$conmon") >/dev/null 2>&1 &\n',
    );
    fs.chmodSync(runtime, 0o755);
    const program = getHost().write('specs/layer/broken', 'no program');
    fs.chmodSync(program, 0o755);
    const layers = [{ directory: path.dirname(program), destination: '/srv' }];
    const { status, stderr } = await failing('late', { runtime, layers, process: { args: ['/srv/broken'] } });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^\S+ error: process: .*: exec \S*\/srv\/broken: exec format error$/m);
  });

  it('in a command names the step, the command and its words, and leaves nothing', async () => {
    const host = getHost();
    // An `ip` that cannot make veth pairs.
    const wrapper = host.write(
      'specs/bin/ip',
      '#!/bin/sh\ncase "$*" in *-batch*) ;; *) exec /sbin/ip "$@" ;; esac\nlines=$(cat)\n' +
        'case "$lines" in *"type veth"*) echo "RTNETLINK answers: Not today" >&2; exit 2 ;; esac\n' +
        'printf "%s\\n" "$lines" | /sbin/ip "$@"\n',
    );
    fs.chmodSync(wrapper, 0o755);
    const { file } = writeSpec(host, 'command', { network: NETWORK });
    before = await host.snapshot();
    const PATH = `${path.dirname(wrapper)}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
    const { status, stderr } = await host.exec([process.execPath, CLI, 'apply', file], { env: { PATH } });
    expect(status).toBe(1);
    expect(stderr).toMatch(/error: veth:eth0: /);
    expect(stderr).toMatch(/^ {2}command: \S*ip .*\(exit status 2\)/m);
    expect(stderr).toMatch(/^ {2}\| RTNETLINK answers: Not today/m);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('in a write to the kernel names the step and the file, and leaves nothing', async () => {
    const { status, stderr } = await failing('cpuset', { resources: { cpuset: '0-4000' } }, withManyCpus);
    expect(status).toBe(1);
    expect(stderr).toMatch(/error: .*cgroup.*cpuset\.cpus/m);
  });

  it.each([
    ['program', { args: ['/no/such/program'] }, /:\d+:\d+: error: bundle: no program \/no\/such\/program/],
    ['user', { args: WAIT, user: 'nobody-knows' }, /:\d+:\d+: error: bundle: no user nobody-knows/],
  ])('for want of the %s ends no process that runs', async (_, process, reason) => {
    const host = getHost();
    const spec = writeSpec(host, 'runs', { ...WEB, process: { args: WAIT } });
    await succeed(host, 'apply', spec.file);
    const identity = await identify(host, spec.name);
    const up = await host.snapshot();
    writeSpec(host, 'runs', { ...WEB, process });
    const { status, stderr } = await host.runspec('apply', spec.file);
    expect(status).toBe(1);
    expect(stderr).toMatch(reason);
    expect(await identify(host, spec.name)).toBe(identity);
    writeSpec(host, 'runs', { ...WEB, process: { args: WAIT } });
    expect(await pending(host, spec.file)).toEqual([]);
    expect(await host.settledDiff(up)).toEqual([]);
    await succeed(host, 'down', spec.name);
  });

  it('leaves what was up before as it was', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'stays', { ...WEB, process: { args: WAIT } });
    await succeed(host, 'apply', spec.file);
    const identity = await identify(host, spec.name);
    const up = await host.snapshot();
    const changed = writeSpec(host, 'stays', {
      ...WEB,
      network: { ...NETWORK, ports: ['8081:80'], nat: false },
      resources: { memory: '32M', cpuset: '0-4000' },
      process: { args: WAIT },
    });
    expect((await withManyCpus(() => host.runspec('apply', changed.file))).status).toBe(1);
    writeSpec(host, 'stays', { ...WEB, process: { args: WAIT } });
    expect(await identify(host, spec.name)).toBe(identity);
    expect(await host.settledDiff(up)).toEqual([]);
    expect(await drift(host, spec.name)).toEqual([]);
    await succeed(host, 'down', spec.name);
  });

  it.each<[string, SpecKeys]>([
    ['the runtime refuses the process', { sysctls: { 'net.no.such': 1 } }],
    ['the layers are others too', { layers: [{ files: { '/z': 'y' } }], sysctls: { 'net.no.such': 1 } }],
    ['what it writes is to be kept from now on', { writable: 'persistent', sysctls: { 'net.no.such': 1 } }],
  ])('gives back the limits and all that was written, when %s', async (_, keys) => {
    const host = getHost();
    const spec = writeSpec(host, 'gives', { ...WEB, process: { args: WAIT } });
    const clean = await host.snapshot();
    await succeed(host, 'apply', spec.file);
    await succeed(host, 'exec', spec.name, 'bash', '-c', 'echo precious > /srv/written');
    const up = await host.snapshot();
    writeSpec(host, 'gives', { ...WEB, process: { args: WAIT }, ...keys });
    expect((await host.runspec('apply', spec.file)).status).toBe(1);
    expect(await succeed(host, 'exec', spec.name, 'bash', '-c', 'echo $(</srv/written)')).toBe('precious\n');
    writeSpec(host, 'gives', { ...WEB, process: { args: WAIT } });
    expect(await drift(host, spec.name)).toEqual([]);
    expect(await pending(host, spec.file)).toEqual([]);
    expect((await host.settledDiff(up)).filter((line) => !MADE_ANEW.test(line))).toEqual([]);
    await succeed(host, 'down', spec.name);
    expect(await host.settledDiff(clean)).toEqual([]);
  });

  it('keeps what was made when told so, and down removes it', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'kept', {
      network: NETWORK,
      process: { args: WAIT },
      resources: { cpuset: '0-4000' },
    });
    before = await host.snapshot();
    const kept = await withManyCpus(() => host.runspec('apply', '--keep-on-failure', file));
    expect(kept.status).toBe(1);
    expect((await list(host)).map((row) => row.state)).toEqual(['partial']);
    await succeed(host, 'down', name);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('is rolled back when %s comes in the middle', async (signal, status) => {
    const host = getHost();
    // A runtime that takes its time, so that the signal finds the apply in its middle; once it starts the process it is too late.
    const script = '#!/bin/sh\ncase " $* " in *" create "*) sleep 3 ;; esac\nexec runc "$@"\n';
    const runtime = host.write('specs/slow', script);
    fs.chmodSync(runtime, 0o755);
    const { file } = writeSpec(host, 'slow', { network: NETWORK, runtime });
    before = await host.snapshot();
    const apply = await host.startRunspec('apply', file);
    await expect.poll(apply.written, { timeout: 20_000, interval: 10 }).toContain('address 10.70.0.2');
    apply.kill(signal);
    expect((await apply.ended).status).toBe(status);
    expect(apply.written()).toContain(`interrupted by ${signal}, rolled back`);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('because another runspec is at work ends with 4', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'busy', {});
    const hold = 'open(F, ">>", shift); flock(F, 2); $| = 1; print "held"; sleep 1000';
    const holder = await host.start(['perl', '-e', hold, `${host.dataDir}/.lock`]);
    await expect.poll(holder.written, { timeout: 10_000 }).toContain('held');
    for (const args of [
      ['apply', file],
      ['down', name],
    ]) {
      expect(await host.runspec('--lock-timeout', '200ms', ...args)).toMatchObject({ status: 4 });
    }
    expect((await host.runspec('ps')).status).toBe(0);
    expect((await host.runspec('plan', file)).status).toBe(0);
    holder.kill('SIGKILL');
    await holder.ended;
    await succeed(host, 'apply', file);
    await succeed(host, 'down', name);
  });

  it('because it was killed, and its monitor with it, is followed by one of another version', async () => {
    const host = getHost();
    // The init that it has made waits for a start that will never come, and stands in the root file system.
    const slow = host.write('specs/slow-create', '');
    const runtime = host.write(
      'specs/stays',
      `#!/bin/sh\nrunc "$@" || exit\ncase " $* " in *" create "*) if [ -e ${slow} ]; then sleep 1000; fi ;; esac\n`,
    );
    fs.chmodSync(runtime, 0o755);
    const spec = writeSpec(host, 'stays', { network: NETWORK, runtime });
    before = await host.snapshot();
    const known = new Set(descendants(host.pid));
    const apply = await host.startRunspec('apply', spec.file);
    const come = () => descendants(host.pid).filter((pid) => !known.has(pid));
    await expect
      .poll(() => come().map(commandOf), { timeout: 20_000, interval: 20 })
      .toEqual(expect.arrayContaining(['runc:[2:INIT]', 'sleep']));
    apply.kill('SIGKILL');
    await apply.ended;
    for (const pid of come()) if (commandOf(pid) !== 'runc:[2:INIT]') signal(pid, 'SIGKILL');
    fs.rmSync(slow);
    // Another layer is another root file system.
    const changed = writeSpec(host, 'other', {
      name: spec.name,
      network: NETWORK,
      runtime,
      layers: [{ files: { '/etc/passwd': 'root:x:0:0::/:/bin/sh\n', '/srv/new': 'new\n' } }],
    });
    await succeed(host, 'apply', changed.file);
    expect(await drift(host, spec.name)).toEqual([]);
    await succeed(host, 'down', spec.name);
    fs.rmSync(changed.file);
    fs.writeFileSync(slow, '');
    expect(await host.settledDiff(before)).toEqual([]);
  });
});
