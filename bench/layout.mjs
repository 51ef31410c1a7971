// An OCI image layout for measuring: 5 layers of 4,000 files each, 200 MB in all, always the same bytes. What is in
// the files compresses about as well as programs and texts do.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

export const LAYERS = 5;
const FILES = 4000;
const LAYER_BYTES = 40e6;
/** Pieces of one text, in an order of their own in each file. */
const PAGE = 4096;

export const TAG = 'bench';

/** Writes the layout to `folder`. */
export function writeLayout(folder) {
  const blobs = join(folder, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const random = createRandom();
  const words = Array.from({ length: 4096 }, () => word(random));
  const pick = () => words[Math.floor(random() ** 2 * words.length)];
  const text = Buffer.from(Array.from({ length: 2 ** 20 }, pick).join(''));
  const layers = [];
  const diffIds = [];
  for (let number = 0; number < LAYERS; number += 1) {
    const tree = join(folder, 'tree');
    writeTree(tree, number, random, text);
    const file = join(folder, 'layer');
    const pack = ['-C', tree, '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '-czf', file, '.'];
    const { status, stderr } = spawnSync('tar', pack);
    if (status !== 0) throw new Error(`tar: ${stderr.toString()}`);
    const bytes = readFileSync(file);
    diffIds.push(digest(gunzipSync(bytes)));
    layers.push(store(blobs, 'layer.v1.tar+gzip', bytes));
    rmSync(tree, { recursive: true });
    rmSync(file);
  }
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  const describe = { architecture, os: 'linux', config: { Cmd: ['true'] }, rootfs };
  const json = (document) => Buffer.from(JSON.stringify(document));
  const config = store(blobs, 'config.v1+json', json(describe));
  const manifest = store(blobs, 'manifest.v1+json', json({ schemaVersion: 2, config, layers }));
  const annotations = { 'org.opencontainers.image.ref.name': TAG };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
  writeFileSync(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}

function writeTree(tree, number, random, text) {
  // Most files are small, a few hold most of the bytes, as in real root filesystems.
  const sizes = Array.from({ length: FILES }, () => 1 / (0.004 + random()));
  const scale = LAYER_BYTES / sizes.reduce((sum, size) => sum + size, 0);
  for (const [index, size] of sizes.entries()) {
    const folder = join(tree, `usr/share/package-${number}-${index % 80}`);
    if (index < 80) mkdirSync(folder, { recursive: true });
    const length = Math.ceil(size * scale);
    const parts = [];
    for (let left = length; left > 0; left -= PAGE) {
      const start = Math.floor(random() * (text.length - PAGE));
      parts.push(text.subarray(start, start + Math.min(PAGE, left)));
    }
    writeFileSync(join(folder, `file-${index}`), Buffer.concat(parts));
  }
}

function word(random) {
  const letters = Array.from({ length: 3 + Math.floor(random() * 8) }, () => Math.floor(random() * 26));
  return `${String.fromCharCode(...letters.map((letter) => 97 + letter))} `;
}

/** mulberry32: the same numbers on every machine. */
function createRandom() {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function digest(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function store(blobs, kind, bytes) {
  const name = digest(bytes);
  writeFileSync(join(blobs, name.slice('sha256:'.length)), bytes);
  return { mediaType: `application/vnd.oci.image.${kind}`, digest: name, size: bytes.length };
}
