// Writes OCI image layouts from tar archives made in code. Honest by itself; tests that want lies change the
// files afterwards. The format is that of the OCI image spec: image-layout.md, manifest.md, config.md.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

type Compression = 'none' | 'gzip' | 'zstd';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface LayoutImage {
  /** Lowest first. */
  readonly layers: readonly { readonly tar: Buffer; readonly compression?: Compression }[];
  /** The `config` object inside the config document, in its own words: `Entrypoint`, `Env`… */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly architecture?: string;
}

export interface WrittenImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly { readonly descriptor: Descriptor; readonly diffId: string }[];
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const MEDIA_TYPES: Readonly<Record<Compression, string>> = {
  none: LAYER,
  gzip: `${LAYER}+gzip`,
  zstd: `${LAYER}+zstd`,
};

/** Adds an image to the layout in `folder`, which is made when missing; a tag that exists is moved. */
export function writeLayout(folder: string, tag: string, image: LayoutImage): WrittenImage {
  const layers = image.layers.map(({ tar, compression = 'gzip' }) => ({
    descriptor: writeBlob(folder, MEDIA_TYPES[compression], compress(tar, compression)),
    diffId: digestOf(tar),
  }));
  const config = writeDocument(folder, 'application/vnd.oci.image.config.v1+json', {
    created: '2024-01-01T00:00:00Z',
    architecture: image.architecture ?? 'amd64',
    os: 'linux',
    config: image.config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((_, index) => ({
      created: '2024-01-01T00:00:00Z',
      created_by: `layer ${index + 1}`,
    })),
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = writeDocument(folder, mediaType, {
    schemaVersion: 2,
    mediaType,
    config,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  tagManifest(folder, tag, manifest);
  return { manifest, config, layers };
}

/** Stores bytes under their digest. */
export function writeBlob(folder: string, mediaType: string, bytes: Buffer): Descriptor {
  const digest = digestOf(bytes);
  fs.mkdirSync(path.join(folder, 'blobs/sha256'), { recursive: true });
  fs.writeFileSync(blobPath(folder, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

export function blobPath(folder: string, digest: string): string {
  return path.join(folder, 'blobs', digest.replace(':', '/'));
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function writeDocument(folder: string, mediaType: string, document: unknown): Descriptor {
  return writeBlob(folder, mediaType, Buffer.from(JSON.stringify(document)));
}

function tagManifest(folder: string, tag: string, manifest: Descriptor): void {
  const name = 'org.opencontainers.image.ref.name';
  const file = path.join(folder, 'index.json');
  const index = (
    fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : { schemaVersion: 2, manifests: [] }
  ) as { readonly manifests: readonly { readonly annotations?: Readonly<Record<string, string>> }[] };
  const others = index.manifests.filter(({ annotations }) => annotations?.[name] !== tag);
  const manifests = [...others, { ...manifest, annotations: { [name]: tag } }];
  fs.writeFileSync(file, JSON.stringify({ ...index, manifests }));
  fs.writeFileSync(path.join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}

function compress(tar: Buffer, compression: Compression): Buffer {
  if (compression === 'none') return tar;
  if (compression === 'gzip') return gzipSync(tar);
  // Node 20 has no zstd.
  const { status, stdout } = spawnSync('zstd', ['--stdout', '--quiet'], { input: tar, maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(`zstd failed with status ${status}`);
  return stdout;
}
