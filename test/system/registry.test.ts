// rootfs.image from a real registry: Debian's docker-registry, filled by skopeo.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { inside, pending, succeed } from '../support/containers.ts';
import { startRegistry, type Account, type DockerRegistry } from '../support/docker-registry.ts';
import { execute } from '../support/execute.ts';
import { writeLayout, type WrittenImage } from '../support/oci-layout.ts';
import { programs, requireSystem } from '../support/requirements.ts';
import { makeRootfs } from '../support/small-rootfs.ts';
import { diffSnapshots } from '../support/snapshot.ts';
import { SPECS } from '../support/specs.ts';
import { withHost, type TestHost } from '../support/test-host.ts';

const canRun = requireSystem() && programs('skopeo', 'docker-registry', 'htpasswd');

/** The registry ends with the test; it and what the test itself wrote are no leaks. */
const withRegistry = (
  test: (host: TestHost, registry: DockerRegistry) => Promise<void>,
  account?: Account,
): Promise<void> =>
  withHost(async (host) => {
    const registry = await startRegistry(host, `${SPECS}/registry`, account);
    try {
      await test(host, registry);
    } finally {
      await registry.stop();
    }
    fs.rmSync(path.join(host.folder, SPECS), { recursive: true });
  });

const pack = (folder: string): Buffer =>
  execFileSync('tar', ['--create', '--sort=name', '--mtime=@0', '--directory', folder, '.'], {
    maxBuffer: 2 ** 28,
  });

/** An image of a shell that waits, with a text of its own, in the registry. */
async function push(
  host: TestHost,
  registry: DockerRegistry,
  text: string,
  name = 'team/app:v1',
): Promise<WrittenImage> {
  const folder = path.join(host.folder, SPECS);
  if (!fs.existsSync(`${folder}/rootfs`))
    await makeRootfs(host, `${SPECS}/rootfs`, ['/bin/sh', '/bin/sleep', '/bin/cat']);
  fs.mkdirSync(`${folder}/upper/srv`, { recursive: true });
  fs.writeFileSync(`${folder}/upper/srv/text`, text);
  const image = writeLayout(`${folder}/layout`, 'pushed', {
    layers: [{ tar: pack(`${folder}/rootfs`) }, { tar: pack(`${folder}/upper`) }],
    config: {
      Cmd: ['/bin/sh', '-c', "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
      WorkingDir: '/srv',
    },
  });
  await registry.push(`${folder}/layout`, 'pushed', name);
  return image;
}

function writeSpec(host: TestHost, image: string): { readonly name: string; readonly file: string } {
  const name = host.name('web');
  const file = host.write(`${SPECS}/web.json`, JSON.stringify({ runspec: 1, name, rootfs: { image } }));
  return { name, file };
}

describe.skipIf(!canRun)('an image from a registry', () => {
  it('is pulled by the first apply; the second needs no network', () =>
    withRegistry(async (host, registry) => {
      const { manifest } = await push(host, registry, 'one');
      const reference = `docker://${registry.address}/team/app:v1`;
      const { name, file } = writeSpec(host, reference);
      const plan = await succeed(host, 'plan', file);
      expect(plan).toContain(`image ${reference} ${manifest.digest}`);
      expect(plan).toContain('says process.cwd "/srv"');
      expect(fs.readdirSync(host.dataDir)).toEqual([]);

      await succeed(host, 'apply', file);
      expect((await inside(host, name)(['/bin/cat', 'text'])).stdout).toBe('one');
      await registry.stop();
      expect(await pending(host, file)).toEqual([]);
      await succeed(host, 'apply', file);
      await succeed(host, 'down', name);
      await succeed(host, 'apply', file);
      await succeed(host, 'down', name);

      const { file: other } = writeSpec(host, `${reference}-other`);
      const { status, stderr } = await host.runspec('plan', other);
      expect(status).toBe(2);
      expect(stderr).toMatch(/cannot fetch http:.*ECONNREFUSED/);
    }));

  it('is what its tag means now when it is pulled again', () =>
    withRegistry(async (host, registry) => {
      await push(host, registry, 'one');
      const reference = `docker://${registry.address}/team/app:v1`;
      const { name, file } = writeSpec(host, reference);
      await succeed(host, 'apply', file);
      await push(host, registry, 'two');
      expect(await pending(host, file)).toEqual([]);
      await succeed(host, 'image', 'pull', reference);
      expect(await pending(host, file)).not.toEqual([]);
      await succeed(host, 'apply', file);
      expect((await inside(host, name)(['/bin/cat', 'text'])).stdout).toBe('two');
      await succeed(host, 'down', name);
      await succeed(host, 'image', 'rm', reference);
      await succeed(host, 'image', 'gc');
      expect(fs.readdirSync(path.join(host.dataDir, 'images/layers'))).toEqual([]);
    }));

  it('is pinned by runspec lock, even when its tag moves on', () =>
    withRegistry(async (host, registry) => {
      const { manifest } = await push(host, registry, 'one');
      const reference = `docker://${registry.address}/team/app:v1`;
      const { name, file } = writeSpec(host, reference);
      await succeed(host, 'lock', file);
      const lockFile = path.join(host.folder, SPECS, 'runspec.lock');
      expect(fs.readFileSync(lockFile, 'utf8')).toContain(manifest.digest);
      await succeed(host, 'apply', '--locked', file);
      await succeed(host, 'down', name);

      // The registry has what was locked, whatever the tag means now.
      await push(host, registry, 'two');
      await succeed(host, 'image', 'pull', reference);
      await succeed(host, 'image', 'rm', `${reference}@${manifest.digest}`);
      await succeed(host, 'apply', '--locked', file);
      expect((await inside(host, name)(['/bin/cat', 'text'])).stdout).toBe('one');
      await succeed(host, 'down', name);

      const lost = `sha256:${'0'.repeat(64)}`;
      const text = fs.readFileSync(lockFile, 'utf8');
      fs.writeFileSync(lockFile, text.replace(manifest.digest, lost));
      const before = await host.snapshot();
      const { status, stderr } = await host.runspec('apply', '--locked', file);
      expect(status).toBe(1);
      expect(stderr).toContain('has no such image');
      expect(diffSnapshots(before, await host.snapshot())).toEqual([]);
    }));

  it('is for those who signed in, where an account is wanted', () => {
    const account = { user: 'alice', password: 'hunter2-and-more' };
    return withRegistry(async (host, registry) => {
      await push(host, registry, 'one');
      const reference = `docker://${registry.address}/team/app:v1`;
      const authFile = path.join(host.folder, SPECS, 'auth.json');
      const runspec = (
        ...args: readonly string[]
      ): Promise<{ readonly status: number | undefined; readonly stderr: string }> =>
        host.exec([process.execPath, path.resolve('dist/cli.js'), ...args], {
          env: { REGISTRY_AUTH_FILE: authFile },
        });
      const stranger = await runspec('image', 'pull', reference);
      expect(stranger.status).toBe(1);
      expect(stranger.stderr).toMatch(/does not let us read team\/app/);

      const { user, password } = account;
      const login = [
        'skopeo',
        'login',
        '--tls-verify=false',
        '--username',
        user,
        '--password-stdin',
        registry.address,
      ];
      await host.output(login, { stdin: password, env: { REGISTRY_AUTH_FILE: authFile } });
      const known = await runspec('image', 'pull', reference);
      expect(known).toMatchObject({ status: 0 });
      const secrets = [password, Buffer.from(`${user}:${password}`).toString('base64')].join('|');
      expect(known.stderr).not.toMatch(new RegExp(secrets));
      const found = await host.exec(['grep', '--recursive', '--extended-regexp', secrets, host.dataDir]);
      expect(found.stdout).toBe('');
    }, account);
  });

  it('is pulled whole after pulls that were killed at any moment', () =>
    withRegistry(async (host, registry) => {
      const folder = path.join(host.folder, SPECS);
      // Several layers of what cannot be compressed and of many small files, so that there is something to interrupt.
      const tars = Array.from({ length: 4 }, (_, layer) => {
        const tree = `${folder}/tree${layer}`;
        fs.mkdirSync(tree);
        fs.writeFileSync(`${tree}/large${layer}`, randomBytes(3 * 2 ** 20));
        for (let file = 0; file < 300; file += 1) fs.writeFileSync(`${tree}/${layer}-${file}`, `${file}`);
        return { tar: pack(tree) };
      });
      writeLayout(`${folder}/layout`, 'large', { layers: tars });
      await registry.push(`${folder}/layout`, 'large', 'team/large:v1');
      const reference = `docker://${registry.address}/team/large:v1`;
      const images = path.join(host.dataDir, 'images');
      const list = (name: string): readonly string[] =>
        fs.existsSync(`${images}/${name}`) ? fs.readdirSync(`${images}/${name}`) : [];
      const emptyStore = async (): Promise<void> => {
        if (list('tags').length > 0) await succeed(host, 'image', 'rm', reference);
        await succeed(host, 'image', 'gc');
        for (const name of ['layers', 'tmp', 'tags', 'locks']) expect([name, ...list(name)]).toEqual([name]);
      };

      const begun = performance.now();
      await succeed(host, 'image', 'pull', reference);
      const whole = performance.now() - begun;
      await emptyStore();
      let interrupted = 0;
      const deadline = performance.now() + 20_000;
      for (let round = 0; round < 20 && performance.now() < deadline; round += 1) {
        const pull = await host.startRunspec('image', 'pull', reference);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * whole));
        // It may be done already.
        await execute(['kill', '-KILL', String(pull.pid)]);
        if ((await pull.ended).signal === 'SIGKILL' || list('layers').length < 8) interrupted += 1;
        // Every other time the next pull finds what the killed one left, else what was left is cleared away.
        if (round % 2 === 0) await succeed(host, 'image', 'gc');
        if (list('layers').length >= 8) await emptyStore();
      }
      expect(interrupted).toBeGreaterThan(0);
      await succeed(host, 'image', 'pull', reference);
      await succeed(host, 'image', 'gc');
      expect(list('layers')).toHaveLength(8);
      expect([...list('tmp'), ...list('locks')]).toEqual([]);
      await emptyStore();
    }));
});
