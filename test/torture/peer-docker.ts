// Docker Engine in a test host: dockerd with a data root and a socket of its own, which is what gets killed; the
// client has nothing to lose.
import fs from 'node:fs';
import path from 'node:path';
import type { Started, TestHost } from '../support/test-host.ts';
import { sleep } from './campaign.ts';
import type { OpenPeer, Peer } from './peer.ts';
import { list } from './peer-podman.ts';
import { requireAlpine } from './peer-runspec.ts';
import { hasEnded, signal } from './processes.ts';
import { shorten } from './scene.ts';

export const DOCKER: Peer = {
  name: 'docker',
  victims: {
    tool: 'dockerd',
    tree: 'dockerd, containerd, shims, docker-proxy…',
    child: 'one of containerd, shim, runc, docker-proxy…',
  },
  cleanUpWords: 'dockerd started again, `docker rm -f` of all, `docker system prune -f`',
  open,
};

const IMAGE = 'torture';
const START_MS = 60_000;

async function open(host: TestHost): Promise<OpenPeer> {
  const folder = path.join(host.dataDir, 'docker');
  fs.mkdirSync(folder);
  const socket = `unix://${folder}/docker.sock`;
  const docker = (...args: readonly string[]): readonly string[] => [
    '/usr/bin/docker',
    '-H',
    socket,
    ...args,
  ];
  // It writes a key there, and nothing but the host's folder is writable.
  await host.output(['mount', '-t', 'tmpfs', 'tmpfs', '/etc/docker']);
  const daemonArgs = ['--data-root', `${folder}/root`, '--exec-root', `${folder}/exec`];
  daemonArgs.push('--pidfile', `${folder}/docker.pid`, '-H', socket, '--storage-driver', 'overlay2');
  daemonArgs.push('--exec-opt', 'native.cgroupdriver=cgroupfs', '--log-level', 'error');
  daemonArgs.push('--cgroup-parent', `/runspec/${host.name('docker')}`);
  const answers = async (): Promise<boolean> => (await host.exec(docker('version'))).status === 0;
  let daemon: Started | undefined;
  const start = async (): Promise<void> => {
    const started = await host.start(['dockerd', ...daemonArgs]);
    daemon = started;
    for (const deadline = Date.now() + START_MS; !(await answers());) {
      if (hasEnded(started.pid) || Date.now() > deadline)
        throw new Error(`dockerd does not start: ${shorten(started.written())}`);
      await sleep(100);
    }
  };
  await start();
  await host.output(docker('import', requireAlpine(), IMAGE));
  const version = await host.output(docker('version', '--format', 'Docker Engine {{.Server.Version}}'));
  const limits = ['--cpus', '0.5', '--memory', '64m', '--pids-limit', '100', '--publish', '8080:80'];
  const cleanUp = async (): Promise<readonly string[]> => {
    try {
      if (daemon === undefined || hasEnded(daemon.pid)) await start();
      const failures: string[] = [];
      for (const attempt of ['first', 'second']) {
        const names = (await host.exec(docker('ps', '--all', '--quiet'))).stdout.split('\n').filter(Boolean);
        const commands = [
          ...(names.length === 0 ? [] : [['rm', '--force', ...names]]),
          ['system', 'prune', '--force'],
        ];
        for (const args of commands) {
          const { status, stderr } = await host.exec(docker(...args));
          if (status !== 0 && attempt === 'second')
            failures.push(`docker ${args.join(' ')} ended with ${status}: ${shorten(stderr)}`);
        }
      }
      return failures;
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  };
  return {
    versions: [version.trim()],
    daemon: () => daemon?.pid ?? 0,
    begin: (operation) =>
      host.start(
        operation === 'run'
          ? docker('run', '--detach', '--name', 'box', ...limits, IMAGE, 'sleep', '1000000')
          : docker('rm', '--force', 'box'),
      ),
    cleanUp,
    // Not exec/netns: Docker sweeps the files of former namespaces there once a minute.
    listKept: () => [
      ...[
        'root/containers',
        'exec/containerd/daemon/io.containerd.runtime.v2.task/moby',
        'exec/runtime-runc/moby',
      ].flatMap((name) => list(path.join(folder, name))),
      ...list(path.join(folder, 'root/overlay2')).filter((entry) => /^[0-9a-f]{64}/.test(entry)),
    ],
    ignore: [folder],
    close: async () => {
      if (daemon !== undefined) signal(daemon.pid, 'SIGTERM');
      for (
        const deadline = Date.now() + 20_000;
        daemon !== undefined && !hasEnded(daemon.pid) && Date.now() < deadline;
      )
        await sleep(100);
    },
  };
}
