// rootfs.image from an OCI layout, the store behind it, and the lock file.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, identify, inside, pending, succeed } from '../support/containers.ts';
import { blobPath, writeLayout, type WrittenImage } from '../support/oci-layout.ts';
import { requireSystem } from '../support/requirements.ts';
import { makeRootfs } from '../support/small-rootfs.ts';
import { diffSnapshots } from '../support/snapshot.ts';
import { SPECS } from '../support/specs.ts';
import { withHost, type TestHost } from '../support/test-host.ts';

const WAIT = ['/bin/sh', '-c', "trap 'exit 0' QUIT; while :; do sleep 0.1; done"];

/** What the test itself wrote is no leak. */
const withImages = (test: (host: TestHost) => Promise<void>): Promise<void> =>
  withHost(async (host) => {
    await test(host);
    fs.rmSync(path.join(host.folder, SPECS), { recursive: true });
  });

/** An image of a shell, which waits until SIGQUIT, with a second layer over it. */
async function makeImage(host: TestHost, text: string, tag = 'v1'): Promise<WrittenImage> {
  const rootfs = path.join(host.folder, SPECS, 'rootfs');
  if (!fs.existsSync(rootfs))
    await makeRootfs(host, `${SPECS}/rootfs`, ['/bin/sh', '/bin/sleep', '/bin/cat', '/usr/bin/id']);
  const upper = path.join(host.folder, SPECS, 'upper');
  fs.mkdirSync(path.join(upper, 'srv'), { recursive: true });
  fs.writeFileSync(path.join(upper, 'srv/text'), text);
  const tar = (folder: string): Buffer =>
    execFileSync('tar', ['--create', '--sort=name', '--mtime=@0', '--directory', folder, '.'], {
      maxBuffer: 2 ** 26,
    });
  return writeLayout(path.join(host.folder, SPECS, 'layout'), tag, {
    layers: [{ tar: tar(rootfs) }, { tar: tar(upper), compression: 'zstd' }],
    config: {
      Entrypoint: WAIT.slice(0, 2),
      Cmd: WAIT.slice(2),
      Env: ['COLOUR=green'],
      WorkingDir: '/srv',
      User: '1000:1000',
      StopSignal: 'SIGQUIT',
      Volumes: { '/data': {} },
    },
  });
}

function writeImageSpec(host: TestHost, base: string, keys: object = {}): { name: string; file: string } {
  const name = host.name(base);
  const spec = { runspec: 1, name, rootfs: { image: 'oci:./layout:v1' }, ...keys };
  return { name, file: host.write(`${SPECS}/${base}.json`, JSON.stringify(spec)) };
}

const layersIn = (host: TestHost): readonly string[] =>
  fs.readdirSync(path.join(host.dataDir, 'images/layers')).filter((name) => !name.endsWith('.json'));

describe.skipIf(!requireSystem())('a container from an image', () => {
  it('runs what the image says, as the plan has told', () =>
    withImages(async (host) => {
      const image = await makeImage(host, 'one');
      const { name, file } = writeImageSpec(host, 'web');
      const plan = await succeed(host, 'plan', file);
      expect(plan).toContain(`image oci:${host.folder}/${SPECS}/layout:v1 ${image.manifest.digest}`);
      for (const words of ['process.cwd "/srv"', 'process.user "1000:1000"', 'process.stopSignal "SIGQUIT"'])
        expect(plan).toContain(`says ${words}`);
      expect(plan).toContain('says process.env "COLOUR=green"');
      expect(fs.existsSync(path.join(host.dataDir, 'images/layers'))).toBe(false);

      await succeed(host, 'apply', file);
      const { stdout } = await inside(host, name)(['/bin/sh', '-c', 'echo $COLOUR; cat text; id -u']);
      expect(stdout).toBe('green\none1000\n');
      expect(await pending(host, file)).toEqual([]);
      await succeed(host, 'down', name);
    }));

  it('unpacks each layer once, whoever asks, and gc keeps what is used', () =>
    withImages(async (host) => {
      await makeImage(host, 'one');
      const [first, second] = [
        writeImageSpec(host, 'a'),
        writeImageSpec(host, 'b', { process: { user: 'root' } }),
      ];
      await succeed(host, 'apply', first.file, second.file);
      expect(layersIn(host)).toHaveLength(2);
      await succeed(host, 'down', first.name);
      await succeed(host, 'image', 'gc');
      expect(layersIn(host)).toHaveLength(2);
      expect((await find(host, second.name)).state).toBe('running');
      await succeed(host, 'down', second.name);
      await succeed(host, 'image', 'gc');
      expect(layersIn(host)).toEqual([]);
    }));

  it('stays as it is when the same image or archive has another name', () =>
    withImages(async (host) => {
      await makeImage(host, 'one');
      const { name, file } = writeImageSpec(host, 'web');
      const folder = path.join(host.folder, SPECS);
      const archive = (base: string): string =>
        host.write(
          `${SPECS}/kept.json`,
          JSON.stringify({
            runspec: 1,
            name: host.name('kept'),
            rootfs: { tarball: base },
            process: { args: WAIT, stopSignal: 'SIGQUIT' },
          }),
        );
      execFileSync('tar', ['-cf', path.join(folder, 'one.tar'), '-C', path.join(folder, 'rootfs'), '.']);
      await succeed(host, 'apply', file, archive('./one.tar'));
      const identities = () => Promise.all([name, host.name('kept')].map((one) => identify(host, one)));
      const before = await identities();

      await makeImage(host, 'one', 'v2');
      writeImageSpec(host, 'web', { rootfs: { image: 'oci:./layout:v2' } });
      fs.renameSync(path.join(folder, 'one.tar'), path.join(folder, 'two.tar'));
      archive('./two.tar');
      expect(await pending(host, file)).toEqual([]);
      await succeed(host, 'apply', file, path.join(folder, 'kept.json'));
      expect(await identities()).toEqual(before);
      expect(await succeed(host, 'status', name)).toContain('layout:v2');
      await succeed(host, 'down', '--all');
    }));

  it('keeps the layers of an image that was pulled until it is removed', () =>
    withImages(async (host) => {
      await makeImage(host, 'one');
      const reference = `oci:${host.folder}/${SPECS}/layout:v1`;
      await succeed(host, 'image', 'pull', reference);
      await succeed(host, 'image', 'gc');
      expect(layersIn(host)).toHaveLength(2);
      const { images, layers } = JSON.parse(await succeed(host, 'image', 'ls', '--json')) as {
        readonly images: readonly { readonly reference: string }[];
        readonly layers: readonly { readonly created: string }[];
      };
      expect(images.map((one) => one.reference)).toEqual([reference]);
      for (const { created } of layers) expect(new Date(created).toISOString()).toBe(created);
      expect(await succeed(host, 'image', 'ls')).toContain(reference);
      await succeed(host, 'image', 'rm', reference);
      expect(layersIn(host)).toEqual([]);
      expect(fs.readdirSync(path.join(host.dataDir, 'images/tags'))).toEqual([]);
    }));

  it('is refused when a layer is not what its manifest says, and nothing is left of it', () =>
    withImages(async (host) => {
      const { layers } = await makeImage(host, 'one');
      const blob = blobPath(path.join(host.folder, SPECS, 'layout'), layers[1]?.descriptor.digest ?? '');
      fs.appendFileSync(blob, 'x');
      const { file } = writeImageSpec(host, 'web');
      const { status, stderr } = await host.runspec('apply', file);
      expect(status).toBe(1);
      expect(stderr).toContain(layers[1]?.descriptor.digest);
      expect(layersIn(host).length).toBeLessThan(2);
      expect(fs.readdirSync(path.join(host.dataDir, 'images/tmp'))).toEqual([]);
    }));

  it('that is not there is named with its place', () =>
    withImages(async (host) => {
      const { file } = writeImageSpec(host, 'web', { rootfs: { image: 'oci:./nowhere:v1' } });
      const { status, stderr } = await host.runspec('apply', file);
      expect(status).toBe(2);
      expect(stderr).toMatch(/web\.json:1:\d+: .*nowhere/);
    }));
});

describe.skipIf(!requireSystem())('runspec lock', () => {
  it('pins images and archives, and apply --locked refuses anything else before the first change', () =>
    withImages(async (host) => {
      const image = await makeImage(host, 'one');
      const folder = path.join(host.folder, SPECS);
      execFileSync('tar', [
        '--create',
        '--file',
        `${folder}/extra.tar`,
        '--directory',
        `${folder}/upper`,
        '.',
      ]);
      const { name, file } = writeImageSpec(host, 'web', { layers: [{ tarball: './extra.tar' }] });
      const unlocked = await host.runspec('apply', '--locked', file);
      expect(unlocked.status).toBe(2);
      expect(unlocked.stderr).toContain('runspec lock SPEC');

      await succeed(host, 'lock', file);
      const lock = JSON.parse(fs.readFileSync(`${folder}/runspec.lock`, 'utf8')) as {
        readonly sources: Readonly<Record<string, { readonly digest: string; readonly size: number }>>;
      };
      const [one, two] = image.layers.map((layer) => layer.descriptor.size);
      expect(lock.sources['oci:./layout:v1']).toEqual({
        digest: image.manifest.digest,
        size: (one ?? 0) + (two ?? 0),
      });
      expect(lock.sources['./extra.tar']?.size).toBe(fs.statSync(`${folder}/extra.tar`).size);
      await succeed(host, 'apply', '--locked', file);
      await succeed(host, 'down', name);

      const before = await host.snapshot();
      await makeImage(host, 'two');
      const moved = await host.runspec('apply', '--locked', file);
      expect(moved.status).toBe(2);
      expect(moved.stderr).toContain(image.manifest.digest);
      await makeImage(host, 'one');
      await succeed(host, 'image', 'gc');
      fs.appendFileSync(`${folder}/extra.tar`, Buffer.alloc(512));
      const other = await host.runspec('apply', '--locked', file);
      expect(other.status).toBe(1);
      expect(other.stderr).toContain('extra.tar has sha256');
      expect(other.stderr).toContain('runspec.lock right with: runspec lock SPEC');
      const changed = diffSnapshots(before, await host.snapshot());
      expect(changed.filter((line) => !line.includes(folder))).toEqual([]);
      fs.writeFileSync(`${folder}/runspec.lock`, '{');
      for (const args of [['apply', '--locked'], ['lock']]) {
        const { status, stderr } = await host.runspec(...args, file);
        expect({ args, status }).toEqual({ args, status: 2 });
        expect(stderr).toContain(`${folder}/runspec.lock is not a lock file of this version`);
      }
      // Without the flag the lock file is only a file.
      await succeed(host, 'apply', file);
      await succeed(host, 'down', name);
    }));
});
