// Two containers of one image: what each of them brings into the store, in files.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How many files and folders each of two containers, of one image and Alpine above it, brings into an empty store. */
export function countUnpacked(folder, image, alpine, runspec, time) {
  const dataDir = join(folder, 'data');
  const layers = join(dataDir, 'images/layers');
  mkdirSync(folder);
  const names = ['bench-first', 'bench-second'];
  const counts = names.map((name) => {
    const spec = join(folder, `${name}.yaml`);
    writeFileSync(
      spec,
      `runspec: 1
name: ${name}
rootfs: { image: "docker://${image}" }
layers: [{ tarball: ${alpine} }]
process: { args: [sleep, "1000000"], stopTimeout: 0s }
network: { mode: none }
runtime: runc
`,
    );
    // ctime, which nothing but a change of the file itself moves; 20 ms are more than the kernel's clock tick.
    spawnSync('sleep', ['0.02']);
    const mark = join(folder, `${name}.mark`);
    writeFileSync(mark, '');
    spawnSync('sleep', ['0.02']);
    time(runspec.cli('--data-dir', dataDir, 'apply', '--quiet', spec));
    const { stdout } = spawnSync('find', [layers, '-mindepth', '2', '-cnewer', mark, '-printf', '.']);
    return stdout.length;
  });
  time(runspec.cli('--data-dir', dataDir, 'down', '--quiet', ...names));
  return { first: counts[0], second: counts[1] };
}
