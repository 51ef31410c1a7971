// A registry on loopback, Debian's docker-registry, that holds the image to be pulled.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ADDRESS = '127.0.0.1:5000';

/** Gives the image's name there, and what ends the registry. `reference` is one of skopeo's. */
export async function startRegistry(folder, reference) {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'config.yml');
  const lines = [
    'version: 0.1',
    'log: { level: error, accesslog: { disabled: true } }',
    `storage: { filesystem: { rootdirectory: ${join(folder, 'blobs')} } }`,
    `http: { addr: "${ADDRESS}", secret: bench }`,
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const registry = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  const name = `${ADDRESS}/bench/image:1`;
  const copy = ['--insecure-policy', 'copy', '--quiet', '--dest-tls-verify=false', reference];
  for (let attempt = 1; ; attempt += 1) {
    const { status, stderr } = spawnSync('skopeo', [...copy, `docker://${name}`], { encoding: 'utf8' });
    if (status === 0) break;
    // It takes a moment to listen.
    if (attempt === 20 || !/connection refused/.test(stderr)) {
      registry.kill('SIGKILL');
      throw new Error(`skopeo copy: ${stderr}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const ended = new Promise((resolve) => registry.once('exit', resolve));
  return {
    name,
    stop: async () => {
      registry.kill('SIGKILL');
      await ended;
    },
  };
}
