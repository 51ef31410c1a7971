// Docker Engine in a test host: dockerd with a data root and a socket of its own, which is what gets killed; the
// client has nothing to lose.
import path from 'node:path';
import { placeDockerd } from '../support/dockerd.ts';
import type { TestHost } from '../support/test-host.ts';
import type { OpenPeer, Peer } from './peer.ts';
import { list } from './peer-podman.ts';
import { requireAlpine } from './peer-runspec.ts';
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

async function open(host: TestHost): Promise<OpenPeer> {
  const { folder, client, docker, start, stop, pid } = await placeDockerd(host, 'data/docker');
  await start();
  await docker('import', requireAlpine(), IMAGE);
  const versions = [
    await docker('version', '--format', 'Docker Engine {{.Server.Version}}'),
    (await host.output(['containerd', '--version'])).replace(/^containerd \S+ /, 'containerd '),
  ];
  const limits = ['--cpus', '0.5', '--memory', '64m', '--pids-limit', '100', '--publish', '8080:80'];
  const cleanUp = async (): Promise<readonly string[]> => {
    try {
      await start();
      const failures: string[] = [];
      for (const attempt of ['first', 'second']) {
        const names = (await host.exec(client('ps', '--all', '--quiet'))).stdout.split('\n').filter(Boolean);
        const commands = [
          ...(names.length === 0 ? [] : [['rm', '--force', ...names]]),
          ['system', 'prune', '--force'],
        ];
        for (const args of commands) {
          const { status, stderr } = await host.exec(client(...args));
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
    versions: versions.map((text) => text.trim().split(' ').slice(0, 3).join(' ')),
    daemon: pid,
    begin: (operation) =>
      host.start(
        operation === 'run'
          ? client('run', '--detach', '--name', 'box', ...limits, IMAGE, 'sleep', '1000000')
          : client('rm', '--force', 'box'),
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
    close: stop,
  };
}
