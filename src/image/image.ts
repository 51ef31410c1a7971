// Image as every source gives it: the checked content of manifest and config, before any layer is read. Sources find
// bytes and judge nothing. Words are those of the OCI image spec.
import type { Readable } from 'node:stream';
import type { ImageConfig } from '../plan/facts.ts';

/** `sha256:` and 64 hex digits, or `sha512:` and 128; checked by pattern before it becomes part of a path or URL. */
export type Digest = string;

/** OCI image spec, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Size in bytes as stored. */
  readonly size: number;
  readonly platform?: Platform;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/**
 * Source of one image, or of an index of several: an OCI layout, an archive, a folder, a registry. Holds nothing open
 * between calls.
 */
export interface ImageSource {
  /** Reference as in the spec, for messages: `oci:/srv/layout:latest`. Never holds credentials. */
  readonly reference: string;
  /** Digest that the root document must have, when the reference says one. */
  readonly pin?: Digest;
  /** Reads the document that the reference names: a manifest or an index. More than `limit` bytes are an error. */
  readRoot(limit: number): Promise<{ readonly mediaType: string; readonly bytes: Buffer }>;
  /**
   * Reads a manifest below an index, or a config, whole; the caller checks its digest. More than `limit` bytes are an
   * error.
   */
  readDocument(descriptor: Descriptor, limit: number): Promise<Buffer>;
  /** Opens a layer as stored; the caller checks digest and size. The stream ends early only with an error. */
  openBlob(descriptor: Descriptor, signal: AbortSignal): Promise<Readable>;
}

export interface ImageLayer {
  readonly descriptor: Descriptor;
  /** Digest of the layer uncompressed: its name in the store. */
  readonly diffId: Digest;
}

export interface Image {
  readonly reference: string;
  /** Digest of the manifest for this platform. */
  readonly digest: Digest;
  /** Digest of the document that the reference names: an index for several platforms, or the manifest. */
  readonly root: Digest;
  readonly configDigest: Digest;
  /** Platform that the image was built for, as its config says. */
  readonly platform: Platform;
  /** The config document as it is, for `commit`. */
  readonly configText: string;
  readonly config: ImageConfig;
  /** Lowest first; one diff id may come twice. */
  readonly layers: readonly ImageLayer[];
}
