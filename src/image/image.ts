// An image as every source gives it: what its manifest and config say, checked, before any layer is read.
// Sources find bytes; they judge nothing. Words are those of the OCI image spec.
import type { Readable } from 'node:stream';
import type { ImageConfig } from '../plan/facts.ts';

/** `sha256:` and 64 hex digits, or `sha512:` and 128; checked by pattern before it becomes part of a path or URL. */
export type Digest = string;

/** OCI image spec, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes, as stored. */
  readonly size: number;
  readonly platform?: Platform;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/**
 * A place that holds one image, or an index of several: an OCI layout, an archive, a folder, a registry. Holds nothing
 * open between calls.
 */
export interface ImageSource {
  /** As in the spec, for messages: `oci:/srv/layout:latest`. Never holds credentials. */
  readonly reference: string;
  /** What the root document must be, when the reference says so. */
  readonly pin?: Digest;
  /** The document that the reference names: a manifest or an index. At most `limit` bytes, else an error. */
  readRoot(limit: number): Promise<{ readonly mediaType: string; readonly bytes: Buffer }>;
  /** A manifest below an index, or a config, whole; its digest is the caller's to check. At most `limit` bytes, else an error. */
  readDocument(descriptor: Descriptor, limit: number): Promise<Buffer>;
  /** A layer as stored; the caller checks digest and size. Ends with an error, never early without one. */
  openBlob(descriptor: Descriptor, signal: AbortSignal): Promise<Readable>;
}

export interface ImageLayer {
  readonly descriptor: Descriptor;
  /** Digest of the layer uncompressed: its name in the store. */
  readonly diffId: Digest;
}

export interface Image {
  readonly reference: string;
  /** Of the manifest of this platform. */
  readonly digest: Digest;
  /** Of the document that the reference names: an index for several platforms, or the manifest. */
  readonly root: Digest;
  readonly configDigest: Digest;
  /** What the config says it was built for. */
  readonly platform: Platform;
  /** The config document as it is, for `commit`. */
  readonly configText: string;
  readonly config: ImageConfig;
  /** Lowest first; one diff id may come twice. */
  readonly layers: readonly ImageLayer[];
}
