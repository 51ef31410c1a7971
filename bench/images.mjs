// Unpacking an image into an empty store, from an OCI layout and from a registry: runspec, Podman, and skopeo with
// umoci.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TAG, writeLayout } from './layout.mjs';
import { peakOfTree } from './memory.mjs';
import { startRegistry } from './registry.mjs';
import { countUnpacked } from './sharing.mjs';

const ROUNDS = 5;

/** `time` runs a command that has to succeed and gives its milliseconds; figures go to `sample(name, ms)`. */
export async function measureImages({ folder, alpine, runspec, env, time, sample, say }) {
  const at = (...names) => join(folder, ...names);
  mkdirSync(folder, { recursive: true });
  say('writing an image of 200 MB');
  const layout = at('layout');
  writeLayout(layout);
  // Where skopeo and Podman put what they read an archive into, whatever TMPDIR says; read-only in this host.
  mkdirSync(at('tmp'));
  time(['mount', '--bind', at('tmp'), '/var/tmp']);
  // What `podman load` reads is one file.
  time(['skopeo', 'copy', '--quiet', `oci:${layout}:${TAG}`, `oci-archive:${at('image.tar')}:${TAG}`]);
  const registry = await startRegistry(at('registry'), `oci:${layout}:${TAG}`);
  for (let round = 1; round <= ROUNDS; round += 1) {
    say(`round ${round} of ${ROUNDS} with images`);
    // A place of its own each time, removed after the last round: for half a minute after files were deleted ext4
    // searches long for an inode that it may use again, and whoever comes next would pay for it.
    const place = at(String(round));
    mkdirSync(place);
    const podman = ['podman', '--root', join(place, 'podman'), '--runroot', join(place, 'run')];
    const copy = join(place, 'copy');
    const settle = () => spawnSync('sync');
    settle();
    sample(
      'imagePull',
      time(runspec.cli('--data-dir', join(place, 'data'), 'image', 'pull', `oci:${layout}:${TAG}`)),
    );
    settle();
    sample('podmanLoad', time([...podman, 'load', '--quiet', '--input', at('image.tar')]));
    settle();
    const copied = time(['skopeo', 'copy', '--quiet', `oci:${layout}:${TAG}`, `oci:${copy}:${TAG}`]);
    const unpacked = time(['umoci', 'unpack', '--image', `${copy}:${TAG}`, join(place, 'bundle')]);
    sample('skopeoUmoci', copied + unpacked);
    settle();
    const fresh = join(place, 'pulled');
    const pull = ['image', 'pull', `docker://${registry.name}`];
    sample('registryPull', time(runspec.cli('--data-dir', fresh, ...pull)));
    settle();
    const storage = ['--root', join(place, 'podman-pulled'), '--runroot', join(place, 'run-pulled')];
    sample(
      'podmanPull',
      time(['podman', ...storage, 'pull', '--quiet', '--tls-verify=false', registry.name]),
    );
  }
  const name = `docker://${registry.name}`;
  const figures = {
    peak: peakMemory(runspec, at('peak'), `oci:${layout}:${TAG}`),
    pullPeak: await peakOfTree(runspec.cli('--data-dir', at('pull-peak'), 'image', 'pull', name), env),
    unpacked: countUnpacked(at('shared'), registry.name, alpine, runspec, time),
  };
  await registry.stop();
  return figures;
}

/** KiB of runspec's own process at its largest; its children hold a few megabytes whatever they unpack. */
function peakMemory(runspec, dataDir, reference) {
  const file = `${dataDir}.txt`;
  const report = `import fs from 'node:fs';process.on('exit',()=>fs.writeFileSync(${JSON.stringify(file)},String(process.resourceUsage().maxRSS)))`;
  const [program, ...args] = runspec.cli('--data-dir', dataDir, 'image', 'pull', reference);
  const { status, stderr } = spawnSync(program, args, {
    env: { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(report)}` },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`image pull: ${stderr}`);
  return Number(readFileSync(file, 'utf8'));
}
