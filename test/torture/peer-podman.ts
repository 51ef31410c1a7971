// Podman in a test host, with everything it keeps in the host's folder, on the same runtime as runspec.
import fs from 'node:fs';
import path from 'node:path';
import { placePodman } from '../support/podman.ts';
import type { TestHost } from '../support/test-host.ts';
import type { OpenPeer, Peer } from './peer.ts';
import { requireAlpine } from './peer-runspec.ts';
import { shorten } from './scene.ts';

export const PODMAN: Peer = {
  name: 'podman',
  victims: {
    tool: 'podman',
    tree: 'podman, conmon, runc, netavark…',
    child: 'one of conmon, runc, netavark…',
  },
  cleanUpWords: '`podman rm -f -a`, `podman system prune -f`, and both once more',
  open,
};

const IMAGE = 'localhost/torture';

async function open(host: TestHost): Promise<OpenPeer> {
  const { folder, podman, place: parent } = placePodman(host, 'data/podman');
  await host.output(podman('import', requireAlpine(), IMAGE));
  const versions = [
    await host.output(podman('--version')),
    // What it starts, and runspec too.
    await host.output(['conmon', '--version']),
    await host.output(['runc', '--version']),
    await host.output(['/usr/lib/podman/netavark', '--version']),
  ];
  const limits = ['--cpus', '0.5', '--memory', '64m', '--pids-limit', '100', '--publish', '8080:80'];
  const place = ['--name', 'box', '--stop-timeout', '0', ...parent];
  const cleanUp = async (): Promise<readonly string[]> => {
    const all = [
      ['rm', '--force', '--all', '--time', '0'],
      ['system', 'prune', '--force'],
    ];
    // The first may fail over what the second mends; only the second turn has to succeed.
    for (const args of all) await host.exec(podman(...args));
    const failures: string[] = [];
    for (const args of all) {
      const { status, stderr } = await host.exec(podman(...args));
      if (status !== 0) failures.push(`podman ${args.join(' ')} ended with ${status}: ${shorten(stderr)}`);
    }
    return failures;
  };
  return {
    versions: versions.map((text) => (text.split('\n')[0] ?? '').replace(' version ', ' ')),
    begin: (operation) =>
      host.start(
        operation === 'run'
          ? podman('run', '--detach', ...place, ...limits, IMAGE, 'sleep', '1000000')
          : podman('rm', '--force', '--time', '0', 'box'),
      ),
    cleanUp,
    listKept: () =>
      ['storage/overlay-containers', 'storage/overlay', 'run/overlay-containers'].flatMap((name) =>
        list(path.join(folder, name)).filter((entry) => /^[0-9a-f]{64}$/.test(entry)),
      ),
    // Locks and the address that was given last: they change with every container, killed or not.
    ignore: [folder, '/dev/shm/libpod_lock', '/run/containers/networks/ipam.db'],
    close: () => Promise.resolve(),
  };
}

export function list(folder: string): readonly string[] {
  return fs.existsSync(folder) ? fs.readdirSync(folder) : [];
}
