// Pulling from a real registry, Debian's docker-registry, that skopeo has filled: open, behind a password, and
// by a runspec that is killed on the way.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { writeLayout } from '../support/oci-layout.ts';
import { programs, requireSystem } from '../support/requirements.ts';
import { withHost, type Started, type TestHost } from '../support/test-host.ts';

const ADDRESS = '127.0.0.1:5000';

/** Ready when this resolves; ends with `use`. */
async function withRegistry(host: TestHost, auth: string, use: () => Promise<void>): Promise<void> {
  const folder = path.join(host.folder, 'registry');
  const config = host.write(
    'registry/config.yml',
    `version: 0.1\nlog: { level: error }\nstorage: { filesystem: { rootdirectory: ${folder}/data } }\nhttp: { addr: "${ADDRESS}" }\n${auth}`,
  );
  const registry = await host.start(['docker-registry', 'serve', config]);
  try {
    await expect
      .poll(async () => (await host.exec(['ss', '-Hltn', 'sport', '=', ':5000'])).stdout, { timeout: 30_000 })
      .toContain(':5000');
    await use();
  } finally {
    registry.kill('SIGKILL');
    await registry.ended;
    fs.rmSync(folder, { recursive: true });
  }
}

/** Three layers of which the two large ones cannot be compressed. */
async function push(host: TestHost, ...options: readonly string[]): Promise<void> {
  const files = path.join(host.folder, 'registry/files');
  const tars = [1, 4_000_000, 4_000_000].map((size) => {
    fs.rmSync(files, { recursive: true, force: true });
    fs.mkdirSync(files, { recursive: true });
    for (let at = 0; at < 20; at++) fs.writeFileSync(path.join(files, `file-${at}`), randomBytes(size / 20));
    return execFileSync('tar', ['--create', '--directory', files, '.'], { maxBuffer: 2 ** 26 });
  });
  writeLayout(path.join(host.folder, 'registry/layout'), 'v1', { layers: tars.map((tar) => ({ tar })) });
  const target = `docker://${ADDRESS}/team/app:1`;
  await host.output([
    'skopeo',
    '--insecure-policy',
    'copy',
    '--quiet',
    '--dest-tls-verify=false',
    ...options,
    `oci:${host.folder}/registry/layout:v1`,
    target,
  ]);
}

/** The last rounds may have ended by themselves. */
function killIfRunning(started: Started): void {
  if (started.pid === 0) return;
  try {
    started.kill('SIGKILL');
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ESRCH') throw error;
  }
}

const layersIn = (host: TestHost): readonly string[] =>
  !fs.existsSync(path.join(host.dataDir, 'images/layers'))
    ? []
    : fs.readdirSync(path.join(host.dataDir, 'images/layers')).filter((name) => /^[0-9a-f]{64}$/.test(name));

describe.skipIf(!requireSystem() || !programs('docker-registry', 'skopeo', 'htpasswd'))(
  'an image in a registry',
  () => {
    it('is pulled by the next runspec when one is killed at any moment', () =>
      withHost((host) =>
        withRegistry(host, '', async () => {
          await push(host);
          const pull = ['image', 'pull', `docker://${ADDRESS}/team/app:1`] as const;
          const started = Date.now();
          await succeed(host, ...pull);
          const whole = Date.now() - started;
          expect(layersIn(host)).toHaveLength(3);
          for (let round = 0; round < 20; round++) {
            // Each goes on among what the ones before it left, until there is nothing to do any more.
            if (layersIn(host).length === 3)
              fs.rmSync(path.join(host.dataDir, 'images'), { recursive: true });
            const killed = await host.startRunspec(...pull);
            await new Promise((resolve) => setTimeout(resolve, (whole * (round + Math.random())) / 20));
            killIfRunning(killed);
            await killed.ended;
          }
          await succeed(host, ...pull);
          expect(layersIn(host)).toHaveLength(3);
          await succeed(host, 'image', 'gc');
          for (const folder of ['tmp', 'locks'])
            expect(fs.readdirSync(path.join(host.dataDir, 'images', folder))).toEqual([]);
        }),
      ));

    it('that wants a password is given the one that was left by a login', () =>
      withHost((host) => {
        const file = host.write(
          'registry/htpasswd',
          execFileSync('htpasswd', ['-Bbn', 'me', 'secret'], { encoding: 'utf8' }),
        );
        return withRegistry(host, `auth: { htpasswd: { realm: test, path: ${file} } }\n`, async () => {
          await push(host, '--dest-creds', 'me:secret');
          const pull = ['image', 'pull', `docker://${ADDRESS}/team/app:1`] as const;
          const refused = await host.runspec(...pull);
          expect(refused.status).toBe(1);
          expect(refused.stderr).toMatch(/does not let us read team\/app/);
          const auths = { [ADDRESS]: { auth: Buffer.from('me:secret').toString('base64') } };
          const auth = host.write('registry/auth.json', JSON.stringify({ auths }));
          const cli = path.resolve(import.meta.dirname, '../../dist/cli.js');
          await host.output([process.execPath, cli, ...pull], { env: { REGISTRY_AUTH_FILE: auth } });
          expect(layersIn(host)).toHaveLength(3);
        });
      }));
  },
);
