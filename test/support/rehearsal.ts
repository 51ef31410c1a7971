// A fake machine with a runtime and a monitor, for whole commands: the build has the program rehearse on it, so that
// V8 has compiled what an apply needs.
import type { Host } from '../../src/host/host.ts';
import { createFakeHost } from './fake-host.ts';
import { createGate, type Gate } from './fake/gate.ts';
import { createFakeMachine, type FakeMachine } from './fake/machine.ts';
import { createFakeProcesses } from './fake/processes.ts';

/** As the program exports it. */
type Main = (argv: readonly string[], makeHost: () => Host) => Promise<void>;

const COMMANDS = ['apply /web.yaml', 'apply /web.yaml', 'down web --volumes'];

const DATA = '/var/lib/runspec';
/** Whatever the environment says. */
const PLACES = ['--state-dir', '/run/runspec', '--data-dir', DATA];
/** The unpacked image of every container. */
export const LAYER = `${DATA}/images/layers/${'0'.repeat(64)}`;

/** Of `/web.yaml`. */
export const SPEC = `runspec: 1
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
  /** @returns what brings all of it back to how it is now, as often as it is called. */
  keep(): () => void;
}

/** @param more files that it is to have, with what they hold. */
export function createRehearsal(more: Readonly<Record<string, string>> = {}): Rehearsal {
  const machine = createFakeMachine();
  const processes = createFakeProcesses(machine);
  machine.files.makeSymlink('net:[4026531840]', '/proc/self/ns/net');
  for (const [file, text] of Object.entries({ ...FILES, ...more })) {
    makeFolders(machine, file.slice(0, file.lastIndexOf('/')));
    machine.files.put(file, text, { mode: 0o755 });
  }
  const makeHost = (gate = createGate()): Host =>
    processes.add(withOverlay(machine, createFakeHost(machine, gate)), gate);
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
  const keep = (): (() => void) => {
    const parts = [machine.keep(), processes.keep()];
    return () => {
      for (const restore of parts) restore();
    };
  };
  return { machine, makeHost, run, keep };
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

/** The host with what an overlay over the layer shows in a container's root. */
function withOverlay({ mounts }: FakeMachine, host: Host): Host {
  const seen = (file: string): string => {
    const [, root] = /^(\/run\/runspec\/[^/]+\/rootfs)\//.exec(file) ?? [];
    return root !== undefined && mounts.has(root) ? `${LAYER}${file.slice(root.length)}` : file;
  };
  return {
    ...host,
    readText: (file) => host.readText(seen(file)),
    status: (file) => host.status(seen(file)),
    statusOfTarget: (file) => host.statusOfTarget(seen(file)),
    list: (folder) => host.list(seen(folder)),
    realPath: async (file) => ((await host.realPath(seen(file))) === undefined ? undefined : file),
  };
}
