// runspec as one of the peers: `apply`, `down`.
import { alpine } from '../support/requirements.ts';
import type { TestHost } from '../support/test-host.ts';
import type { OpenPeer, Peer } from './peer.ts';
import { mustSucceed } from './scene.ts';

export const RUNSPEC: Peer = {
  name: 'runspec',
  victims: { tool: 'runspec', tree: 'runspec, conmon, runc, nft…', child: 'one of conmon, runc, nft, ip…' },
  cleanUpWords: '`runspec down --all`',
  open,
};

async function open(host: TestHost): Promise<OpenPeer> {
  const name = host.name('box');
  const file = host.write(
    'box.json',
    JSON.stringify({
      runspec: 1,
      name,
      rootfs: { tarball: requireAlpine() },
      process: { args: ['sleep', '1000000'], stopTimeout: '0s' },
      resources: { cpus: 0.5, memory: '64M', pids: 100 },
      network: { ports: ['8080:80'] },
    }),
  );
  const { stdout } = await host.runspec('--version');
  return {
    versions: [`runspec ${stdout.trim()}`],
    begin: (operation) =>
      operation === 'run' ? host.startRunspec('apply', file) : host.startRunspec('down', name),
    cleanUp: () => mustSucceed(host, 'down', '--all'),
    // Its records are not ignored: each file of them counts.
    listKept: () => [],
    ignore: [`${host.dataDir}/images`],
    close: () => Promise.resolve(),
  };
}

export function requireAlpine(): string {
  const file = alpine();
  if (file === undefined) throw new Error('the peers need an Alpine archive: name one with RUNSPEC_ALPINE');
  return file;
}
