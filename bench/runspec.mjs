// runspec with its folders in ours, and the spec that is measured: an overlay over Alpine, a bridge, a published
// port, limits of CPU, memory and processes, stopped without grace.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

export function createRunspec(folder, alpine) {
  mkdirSync(folder, { recursive: true });
  const cli = (...args) => [process.execPath, CLI, ...args];
  return {
    env: { RUNSPEC_STATE_DIR: join(folder, 'state'), RUNSPEC_DATA_DIR: join(folder, 'data') },
    cli,
    apply: (...specs) => cli('apply', '--quiet', ...specs),
    down: (...names) => cli('down', '--quiet', ...names),
    writeSpec(name, port) {
      const file = join(folder, `${name}.yaml`);
      writeFileSync(
        file,
        `runspec: 1
name: ${name}
rootfs: { tarball: ${alpine} }
process: { args: [sleep, "1000000"], stopTimeout: 0s }
resources: { cpus: 0.5, memory: 64M, pids: 2048 }
network: { mode: bridge, ports: ["${port}:80"] }
runtime: runc
`,
      );
      return file;
    },
  };
}
