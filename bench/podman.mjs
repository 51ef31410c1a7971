// Podman with everything it keeps in a folder of ours, on the same runtime and with the same options as the
// benchmark's spec. The image is imported once, as users of Podman have it; --rootfs DIR:O was not measured with care.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PODMAN_PARENT } from './cgroups.mjs';

const IMAGE = 'localhost/bench';

export function createPodman(folder, alpine) {
  const at = (name) => join(folder, name);
  for (const name of ['networks', 'tmp']) mkdirSync(at(name), { recursive: true });
  // Without default_ulimits Podman raises them, which CAP_SYS_RESOURCE may be missing for.
  const config = `
[containers]
default_ulimits = []
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
static_dir = "${at('libpod')}"
tmp_dir = "${at('run/libpod')}"
volume_path = "${at('volumes')}"
[network]
network_backend = "netavark"
network_config_dir = "${at('networks')}"
`;
  const storage = `[storage]\ndriver = "overlay"\ngraphroot = "${at('storage')}"\nrunroot = "${at('run')}"\n`;
  writeFileSync(at('containers.conf'), config);
  writeFileSync(at('storage.conf'), storage);
  return {
    env: {
      CONTAINERS_CONF: at('containers.conf'),
      CONTAINERS_STORAGE_CONF: at('storage.conf'),
      TMPDIR: at('tmp'),
    },
    importImage: ['podman', 'import', alpine, IMAGE],
    run: (name, port) => {
      const place = ['--name', name, '--cgroup-parent', PODMAN_PARENT, '--publish', `${port}:80`];
      const limits = ['--cpus', '0.5', '--memory', '64m', '--pids-limit', '2048', '--stop-timeout', '0'];
      return ['podman', 'run', '--detach', ...place, ...limits, IMAGE, 'sleep', '1000000'];
    },
    remove: (...names) => ['podman', 'rm', '--force', '--time', '0', ...names],
  };
}
