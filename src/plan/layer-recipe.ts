// What a layer of the store is made from. Data of a plan: enough to make the layer again, on this host, later.

/** How a store layer comes into being. `key` (64 hex digits) names its folder; equal keys mean equal content. */
export type LayerRecipe = { readonly key: string; readonly path: string } & (
  | { readonly kind: 'tarball'; readonly tarball: string; readonly sha256: string }
  | {
      readonly kind: 'directory';
      readonly directory: string;
      readonly destination: string;
      readonly lower: readonly string[];
    }
  | {
      readonly kind: 'files';
      readonly files: Readonly<
        Record<
          string,
          { readonly text: string; readonly mode: number; readonly uid: number; readonly gid: number }
        >
      >;
      readonly lower: readonly string[];
    }
  | { readonly kind: 'host'; readonly files: readonly string[] }
  | {
      readonly kind: 'image';
      readonly image: string;
      /** As the manifest says: of the layer as stored. */
      readonly mediaType: string;
      readonly digest: string;
      readonly size: number;
      /** Digest of the layer uncompressed. */
      readonly diffId: string;
    }
);
