// Layers of images in numbers, under limits, killed and short of room: by runspec's own command line.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { archive, entry } from '../image/write-tar.ts';
import { inside, pending, succeed } from '../support/containers.ts';
import { blobPath, writeLayout } from '../support/oci-layout.ts';
import { requireSystem } from '../support/requirements.ts';
import { makeRootfs } from '../support/small-rootfs.ts';
import { SPECS } from '../support/specs.ts';
import { withHost, type Started, type TestHost } from '../support/test-host.ts';
import { walk } from '../support/tree.ts';

const LAYERS = 101;
const FILES = 150;
const ROUNDS = 3;

const withImages = (test: (host: TestHost) => Promise<void>): Promise<void> =>
  withHost(async (host) => {
    await test(host);
    fs.rmSync(path.join(host.folder, SPECS), { recursive: true });
  });

const layoutOf = (host: TestHost): string => path.join(host.folder, SPECS, 'layout');
const referenceTo = (host: TestHost): string => `oci:${layoutOf(host)}:v1`;

/** Several layers of many small files, which take a moment to unpack. */
function writeLargeImage(host: TestHost): readonly string[] {
  const layers = Array.from({ length: 4 }, (_, layer) => ({
    tar: archive(
      ...Array.from({ length: FILES }, (__, index) =>
        entry({ name: `files/${layer}/${index}`, data: `${index}\n`.repeat(400) }),
      ),
    ),
  }));
  return writeLayout(layoutOf(host), 'v1', { layers }).layers.map(({ diffId }) => diffId.slice(7));
}

function killIfAlive(pull: Started): void {
  try {
    pull.kill('SIGKILL');
  } catch (error) {
    // It was faster than the first one: there is nothing to kill.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Keys of layers in the store, each checked to be whole. */
function wholeLayers(dataDir: string): readonly string[] {
  const folder = path.join(dataDir, 'images/layers');
  const keys = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => !name.includes('.')) : [];
  for (const key of keys) {
    expect(walk(path.join(folder, key)).filter((found) => found.isFile())).toHaveLength(FILES);
    expect(JSON.parse(fs.readFileSync(path.join(folder, `${key}.json`), 'utf8'))).toMatchObject({
      entries: FILES,
    });
  }
  return keys;
}

describe.skipIf(!requireSystem())('layers of an image', () => {
  it(`may be ${LAYERS} under one container, which a second apply and gc leave alone`, () =>
    withImages(async (host) => {
      const rootfs = await makeRootfs(host, `${SPECS}/rootfs`, ['/bin/sh', '/bin/sleep', '/bin/ls']);
      const pack = ['--create', '--sort=name', '--mtime=@0', '--directory', rootfs, '.'];
      const base = { tar: execFileSync('tar', pack, { maxBuffer: 2 ** 26 }) };
      // Each adds a file and deletes the one of the layer below.
      const steps = Array.from({ length: LAYERS - 1 }, (_, index) => ({
        tar: archive(entry({ name: `steps/${index}` }), entry({ name: `steps/.wh.${index - 1}` })),
      }));
      writeLayout(layoutOf(host), 'v1', { layers: [base, ...steps] });
      const name = host.name('tall');
      const process = { args: ['/bin/sh', '-c', 'while :; do sleep 0.1; done'], stopTimeout: '0s' };
      const spec = { runspec: 1, name, rootfs: { image: 'oci:./layout:v1' }, process };
      const file = host.write(`${SPECS}/tall.json`, JSON.stringify(spec));
      await succeed(host, 'apply', file);
      expect((await inside(host, name)(['/bin/ls', '/steps'])).stdout).toBe(`${LAYERS - 2}\n`);
      expect(await pending(host, file)).toEqual([]);
      await succeed(host, 'image', 'gc');
      expect((await inside(host, name)(['/bin/ls', '/steps'])).stdout).toBe(`${LAYERS - 2}\n`);
      await succeed(host, 'down', name);
      await succeed(host, 'image', 'gc');
      for (const folder of ['layers', 'l'])
        expect(fs.readdirSync(path.join(host.dataDir, 'images', folder))).toEqual([]);
    }));

  it('are refused over the limits that the user sets, and taken within', () =>
    withImages(async (host) => {
      const keys = writeLargeImage(host);
      const pull = ['image', 'pull', referenceTo(host)];
      for (const [limits, refusal] of [
        [`entries=${FILES - 1}`, `more than ${FILES - 1} entries`],
        ['bytes=100K', 'over the limit of 102400'],
      ] as const) {
        const { status, stderr } = await host.runspec('--archive-limits', limits, ...pull);
        expect([status, stderr.includes(refusal) ? refusal : stderr]).toEqual([1, refusal]);
        expect(wholeLayers(host.dataDir)).toEqual([]);
        expect(fs.readdirSync(path.join(host.dataDir, 'images/tmp'))).toEqual([]);
      }
      await succeed(host, '--archive-limits', `entries=${FILES},ratio=none`, ...pull);
      expect(wholeLayers(host.dataDir).toSorted()).toEqual(keys.toSorted());
    }));

  it('are whole or not there when runspec is killed while it unpacks them', () =>
    withImages(async (host) => {
      const keys = writeLargeImage(host);
      const started = Date.now();
      await succeed(host, 'image', 'pull', referenceTo(host));
      const whole = Date.now() - started;
      for (let round = 1; round <= ROUNDS; round += 1) {
        await succeed(host, 'image', 'rm', referenceTo(host));
        const pull = await host.startRunspec('image', 'pull', referenceTo(host));
        await new Promise((resolve) => setTimeout(resolve, (whole * round) / (ROUNDS + 1)));
        killIfAlive(pull);
        await pull.ended;
        wholeLayers(host.dataDir);
        await succeed(host, 'image', 'pull', referenceTo(host));
        expect(wholeLayers(host.dataDir).toSorted()).toEqual(keys.toSorted());
      }
      await succeed(host, 'image', 'rm', referenceTo(host));
      await succeed(host, 'image', 'gc');
      for (const folder of ['layers', 'tmp', 'locks', 'tags'])
        expect(fs.readdirSync(path.join(host.dataDir, 'images', folder))).toEqual([]);
    }));

  it('leave nothing on a disk that is too small for them', () =>
    withImages(async (host) => {
      const keys = writeLargeImage(host);
      const disk = path.join(host.folder, SPECS, 'disk');
      fs.mkdirSync(disk);
      await host.output(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
      const seen = `/proc/${host.pid}/root${disk}`;
      const pull = ['--data-dir', disk, 'image', 'pull', referenceTo(host)];
      const { status, stderr } = await host.runspec(...pull);
      expect(status).toBe(1);
      expect(stderr).toContain('no space left');
      wholeLayers(seen);
      expect(fs.readdirSync(path.join(seen, 'images/tmp'))).toEqual([]);
      await host.output(['mount', '-o', 'remount,size=64m', disk]);
      await succeed(host, ...pull);
      expect(wholeLayers(seen).toSorted()).toEqual(keys.toSorted());
      await host.output(['umount', disk]);
    }));

  it('are unpacked within 200 MB of memory, however large they are', () =>
    withImages(async (host) => {
      // Random, so that it is no bomb.
      const part = execFileSync('head', ['-c', String(2 ** 21), '/dev/urandom'], { maxBuffer: 2 ** 22 });
      const data = Buffer.concat(Array.from({ length: 32 }, () => part));
      const layers = Array.from({ length: 3 }, (_, index) => ({
        tar: archive(entry({ name: `large/${index}`, data })),
        compression: 'zstd' as const,
      }));
      const image = writeLayout(layoutOf(host), 'v1', { layers });
      expect(fs.statSync(blobPath(layoutOf(host), image.manifest.digest)).size).toBe(image.manifest.size);
      const report = "process.on('exit',()=>console.error('peak',process.resourceUsage().maxRSS))";
      const { status, stderr } = await host.exec(
        [process.execPath, path.resolve('dist/cli.js'), 'image', 'pull', referenceTo(host)],
        {
          env: {
            RUNSPEC_DATA_DIR: host.dataDir,
            NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(report)}`,
          },
        },
      );
      expect(status).toBe(0);
      expect(Number(/^peak (\d+)$/m.exec(stderr)?.[1])).toBeLessThan(200 * 1024);
      fs.rmSync(path.join(host.dataDir, 'images'), { recursive: true });
    }));
});
