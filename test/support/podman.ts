// Podman on a test host, with everything that it keeps in a folder of the host's, on the same runtime as runspec.
import fs from 'node:fs';
import path from 'node:path';
import type { TestHost } from './test-host.ts';

export interface Podman {
  readonly folder: string;
  /** argv of a call. */
  podman(...args: readonly string[]): readonly string[];
  /** Options of `podman run` that keep a container's cgroup among the host's. */
  readonly place: readonly string[];
}

export function placePodman(host: TestHost, name: string): Podman {
  const folder = path.join(host.folder, name);
  const at = (below: string): string => path.join(folder, below);
  for (const below of ['networks', 'tmp']) fs.mkdirSync(at(below), { recursive: true });
  // Without default_ulimits Podman raises them, which CAP_SYS_RESOURCE may be missing for.
  fs.writeFileSync(
    at('containers.conf'),
    `[containers]\ndefault_ulimits = []\nlog_driver = "k8s-file"\n` +
      `[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nstatic_dir = "${at('libpod')}"\n` +
      `tmp_dir = "${at('run/libpod')}"\nvolume_path = "${at('volumes')}"\n` +
      `[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "${at('networks')}"\n`,
  );
  fs.writeFileSync(
    at('storage.conf'),
    `[storage]\ndriver = "overlay"\ngraphroot = "${at('storage')}"\nrunroot = "${at('run')}"\n`,
  );
  const env = [
    'env',
    `CONTAINERS_CONF=${at('containers.conf')}`,
    `CONTAINERS_STORAGE_CONF=${at('storage.conf')}`,
    `TMPDIR=${at('tmp')}`,
  ];
  return {
    folder,
    podman: (...args) => [...env, 'podman', ...args],
    place: ['--cgroup-parent', `/runspec/${host.name('podman')}`],
  };
}
