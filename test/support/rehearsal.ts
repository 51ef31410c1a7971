// A fake machine with a runtime and a monitor, for whole commands: the build has the program rehearse on it, so that
// V8 has compiled what an apply needs.
import { PassThrough, type Duplex } from 'node:stream';
import type { Child, Host } from '../../src/host/host.ts';
import { createFakeHost } from './fake-host.ts';
import { createGate, type Gate } from './fake/gate.ts';
import { createFakeMachine, type FakeMachine } from './fake/machine.ts';

/** As the program exports it. */
type Main = (argv: readonly string[], makeHost: () => Host) => Promise<void>;

const COMMANDS = ['apply /web.yaml', 'apply /web.yaml', 'down web --volumes'];

const DATA = '/var/lib/runspec';
/** Whatever the environment says. */
const PLACES = ['--state-dir', '/run/runspec', '--data-dir', DATA];
const LAYER = `${DATA}/images/layers/${'0'.repeat(64)}`;

const ROOT = '/run/runspec/web/rootfs';

const SPEC = `runspec: 1
name: web
rootfs: { tarball: /image.tar.gz, sha256: "${'0'.repeat(64)}" }
process: { args: [/bin/serve, "80"], user: daemon, env: { MODE: test }, stopTimeout: 0s }
resources: { cpus: 0.5, memory: 64M, pids: 100 }
network: { mode: bridge, ports: ["8080:80"] }
mounts: ["/srv:/srv:ro", { type: tmpfs, destination: /tmp }, { type: volume, source: data, destination: /data }]
dns: { servers: [192.0.2.53] }
runtime: runc
`;

const FILES: Readonly<Record<string, string>> = {
  '/web.yaml': SPEC,
  [`${LAYER}/bin/serve`]: '',
  [`${LAYER}/etc/passwd`]: 'root:x:0:0::/root:/bin/sh\ndaemon:x:2:2::/:/bin/false\n',
  [`${LAYER}/etc/group`]: 'root:x:0:\ndaemon:x:2:\n',
  [`${LAYER}.json`]: '{}',
  '/srv/index.html': '',
  '/proc/self/status': 'CapEff:\t000001ffffffffff\n',
  '/etc/resolv.conf': 'nameserver 192.0.2.53\n',
};

export interface Rehearsal {
  readonly machine: FakeMachine;
  /** One runspec process on it. */
  makeHost(gate?: Gate): Host;
  /** @param change of the host that the command is given. @throws Error when it fails. */
  run(main: Main, command: string, change?: (host: Host) => Host): Promise<void>;
}

export function createRehearsal(): Rehearsal {
  const machine = createFakeMachine();
  for (const [file, text] of Object.entries(FILES)) {
    makeFolders(machine, file.slice(0, file.lastIndexOf('/')));
    machine.files.put(file, text, { mode: 0o755 });
  }
  const makeHost = (gate = createGate()): Host =>
    withProcesses(machine, withOverlay(machine, createFakeHost(machine, gate)), gate.died);
  const run: Rehearsal['run'] = async (main, command, change = (host) => host) => {
    const { geteuid } = process;
    try {
      process.geteuid = () => 0;
      await main([...PLACES, ...command.split(' ')], () => change(makeHost()));
      if (process.exitCode !== 0) throw new Error(`${command} has failed`);
    } finally {
      if (geteuid !== undefined) process.geteuid = geteuid;
    }
  };
  return { machine, makeHost, run };
}

/** @throws Error when a command fails or something is left of it. */
export async function rehearse(main: Main): Promise<void> {
  const { machine, run } = createRehearsal();
  const before = new Set(machine.dump());
  for (const command of COMMANDS) await run(main, command);
  const left = machine.dump().filter((line) => !before.has(line));
  if (left.length > 0) throw new Error(`left on the machine:\n${left.join('\n')}`);
}

function makeFolders(machine: FakeMachine, folder: string): void {
  if (folder === '' || machine.files.find(folder) !== undefined) return;
  makeFolders(machine, folder.slice(0, folder.lastIndexOf('/')));
  machine.files.makeDirectory(folder, { mode: 0o755 });
}

/** The host with what an overlay over the layer shows. */
function withOverlay({ mounts }: FakeMachine, host: Host): Host {
  const seen = (file: string): string =>
    mounts.has(ROOT) && file.startsWith(`${ROOT}/`) ? `${LAYER}${file.slice(ROOT.length)}` : file;
  return {
    ...host,
    readText: (file) => host.readText(seen(file)),
    status: (file) => host.status(seen(file)),
    statusOfTarget: (file) => host.statusOfTarget(seen(file)),
    list: (folder) => host.list(seen(folder)),
    realPath: async (file) => ((await host.realPath(seen(file))) === undefined ? undefined : file),
  };
}

const [MONITOR, INIT] = [201, 202];

/** The host with conmon, the runtime and the process they start: below /proc, and in the cgroups. */
function withProcesses({ files }: FakeMachine, host: Host, died: Promise<void>): Host {
  const members = (): readonly string[] =>
    files.below('/sys/fs/cgroup').filter((file) => /\/runspec\/web[^/]*\/cgroup\.procs$/.test(file));
  const begin = (pid: number, name: string): void => {
    files.makeDirectory(`/proc/${pid}`, { mode: 0o555 });
    const stat = `${pid} (${name}) S 1 ${'0 '.repeat(17)}${pid}77 0\n`;
    for (const [file, text] of Object.entries({ stat, comm: `${name}\n`, cmdline: '' }))
      files.put(`/proc/${pid}/${file}`, text, { mode: 0o444 });
  };
  const endings = new Map<number, () => void>();
  const end = (pid: number): void => {
    endings.get(pid)?.();
    files.drop(`/proc/${pid}`);
    for (const file of members())
      files.put(
        file,
        (files.read(file) ?? '')
          .split('\n')
          .filter((line) => line !== `${pid}`)
          .join('\n'),
      );
  };
  const kill = (pid: number): boolean => {
    const isThere = files.find(`/proc/${pid}`) !== undefined;
    if (isThere) end(pid);
    // conmon ends with what it keeps.
    if (isThere && pid === INIT) end(MONITOR);
    return isThere;
  };
  return {
    ...host,
    async run(argv, options) {
      if (argv[0] !== '/usr/bin/runc') return host.run(argv, options);
      begin(INIT, 'serve');
      return { argv, status: 0, stdout: '', stderr: '' };
    },
    spawn(argv) {
      const bundle = argv[argv.indexOf('--bundle') + 1] ?? '';
      const [stderr, reply, gate] = [new PassThrough(), new PassThrough(), new PassThrough()];
      const exited = new Promise<Awaited<Child['exited']>>((resolve) => {
        endings.set(MONITOR, () => resolve({ status: undefined, signal: 'SIGKILL' }));
        gate.once('end', () => {
          begin(INIT, 'runc:[2:INIT]');
          for (const file of members()) if (!file.includes('.monitor/')) files.put(file, `${INIT}`);
          files.put(`${bundle}/monitor.pid`, `${MONITOR}`);
          reply.end(`{"data": ${INIT}}\n`);
          resolve({ status: 0, signal: undefined });
        });
      });
      gate.resume();
      // One that waits ends with a runspec that is killed. (The real one may go on a while: that is for the system tier.)
      void died.then(() => gate.writableEnded || end(MONITOR));
      begin(MONITOR, 'conmon');
      const pipes = [undefined, undefined, stderr, reply, gate];
      return {
        pid: MONITOR,
        pipe: (fd) => pipes[fd] as Duplex,
        exited,
        kill: () => kill(MONITOR),
        release: () => undefined,
      };
    },
    kill: async (pid) => kill(pid),
    // A turn of the event loop, which the pipes need.
    sleep: (milliseconds) =>
      host.sleep(milliseconds).then(() => new Promise((resolve) => setImmediate(resolve))),
  };
}
