// One spec with every feature, for what must hold whatever a container has; and a changed version of it,
// in which some steps are updated in place, some replaced, some gone and some new.
import fs from 'node:fs';
import path from 'node:path';
import { WAIT, writeSpec, type PlacedSpec, type SpecKeys } from './specs.ts';
import type { TestHost } from './test-host.ts';

const NETWORK = {
  bridge: 'full0',
  subnet: '10.71.0.0/24',
  address: '10.71.0.2',
  interface: 'net0',
  mtu: 1400,
  mac: '02:00:00:71:00:02',
  nat: true,
  ports: ['8071:80', '127.0.0.1:5371:53/udp'],
};

export async function writeFullSpec(host: TestHost, base = 'full'): Promise<PlacedSpec> {
  return writeSpec(host, base, await fullKeys(host));
}

/** The container's spec, and a changed version of it under the same name. */
export async function writeFullPair(
  host: TestHost,
): Promise<{ readonly one: PlacedSpec; readonly two: PlacedSpec }> {
  const keys = await fullKeys(host);
  const changed = writeSpec(host, 'full', {
    ...keys,
    // Its process has to be replaced, and with the writable layer the whole root.
    process: { ...(keys['process'] as object), env: { CHANGED: 'yes' } },
    writable: 'ephemeral',
    resources: { cpus: 0.5, memory: '96M', pids: 90 },
    network: { ...NETWORK, nat: false, ports: ['8072:80', '127.0.0.1:5371:53/udp'] },
    dns: { servers: ['192.0.2.54'], hosts: { cache: '10.71.0.8' } },
  });
  const two = { ...changed, file: host.write('specs/full-two.json', fs.readFileSync(changed.file, 'utf8')) };
  return { one: await writeFullSpec(host), two };
}

async function fullKeys(host: TestHost): Promise<SpecKeys> {
  const site = host.write('specs/site/index.html', 'hello\n');
  host.write('specs/tar/opt/from-tar', 'hello\n');
  const archive = path.join(host.folder, 'specs/more.tar');
  if (!fs.existsSync(archive))
    await host.output(['tar', '-cf', archive, '-C', path.join(host.folder, 'specs/tar'), 'opt']);
  return {
    hostname: 'full',
    layers: [
      {
        files: {
          '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
          '/etc/group': 'root:x:0:\n',
          '/var/lib/data/first': 'hello\n',
        },
      },
      { tarball: archive },
      { directory: path.dirname(site), destination: '/srv/site' },
    ],
    writable: 'persistent',
    process: {
      args: WAIT,
      env: { TZ: 'UTC' },
      terminal: true,
      capabilities: { add: ['NET_ADMIN'] },
      rlimits: { nofile: { soft: 512, hard: 1024 } },
      oomScoreAdj: 10,
      stopTimeout: '5s',
    },
    namespaces: {
      network: 'private',
      pid: 'private',
      ipc: 'private',
      uts: 'private',
      mount: 'private',
      cgroup: 'private',
    },
    resources: { cpus: 0.5, cpuset: '0', memory: '128M', swap: 0, pids: 100 },
    network: NETWORK,
    dns: {
      servers: ['192.0.2.53'],
      search: ['example.org'],
      options: ['ndots:2'],
      hosts: { db: '10.71.0.9' },
    },
    mounts: [
      { type: 'bind', source: path.dirname(site), destination: '/srv/ro', readOnly: true },
      { type: 'bind', source: path.dirname(site), destination: '/srv/rw' },
      { type: 'volume', source: `${host.prefix}-data`, destination: '/var/lib/data' },
      { type: 'tmpfs', destination: '/tmp', size: '4M', mode: '1777' },
    ],
    devices: ['/dev/full'],
    sysctls: { 'net.core.somaxconn': 1024 },
  };
}
