// An image as `docker save` writes it: one archive of layer archives, config and manifest.json. Layers are packed
// straight into their place in the file; their headers, which need size and name, are put before them afterwards.
import type { Packing } from '../host/packing.ts';
import type { Document } from './commit-documents.ts';
import { padding } from './pax.ts';
import { BLOCK } from './tar-header.ts';
import { EMPTY, endOfArchive, writeTarHeader } from './write-tar.ts';

/** Adds files to one archive, from its beginning to its end. A thing with a lifetime: one file. */
export class ArchiveWriter {
  readonly #packing: Packing;
  readonly #file: string;
  #at = 0;

  constructor(packing: Packing, file: string) {
    this.#packing = packing;
    this.#file = file;
  }

  /** Offset at which the bytes of the next file begin. */
  get bodyOffset(): number {
    return this.#at + BLOCK;
  }

  /** Closes a file whose `size` bytes were written at `bodyOffset`. */
  async endFile(name: string, size: number): Promise<void> {
    await this.#packing.writeAt(this.#file, this.#at, writeTarHeader({ ...EMPTY, name, size }));
    const end = this.bodyOffset + size;
    const fill = padding(size);
    await this.#packing.writeAt(this.#file, end, fill);
    this.#at = end + fill.length;
  }

  async addText(name: string, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    await this.#packing.writeAt(this.#file, this.bodyOffset, bytes);
    await this.endFile(name, bytes.length);
  }

  async end(): Promise<void> {
    const mark = endOfArchive();
    await this.#packing.writeAt(this.#file, this.#at, mark);
    // Cut, because a layer that the archive has already may have been packed once more behind the mark.
    await this.#packing.cut(this.#file, this.#at + mark.length);
  }
}

/** Names in the archive, as Docker has them. */
export function layerName(hex: string): string {
  return `${hex}.tar`;
}

/** @param layers hex digests, lowest first. */
export async function endDockerArchive(
  archive: ArchiveWriter,
  config: Document,
  layers: readonly string[],
  tag: string,
): Promise<void> {
  const name = `${config.descriptor.digest.slice('sha256:'.length)}.json`;
  await archive.addText(name, config.text);
  const manifest = [{ Config: name, RepoTags: [tag], Layers: layers.map(layerName) }];
  await archive.addText('manifest.json', JSON.stringify(manifest));
  await archive.end();
}
