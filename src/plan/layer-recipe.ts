// LayerRecipe: what a layer of the store is made from, enough to make it again on this host later. Data of a plan.

/** Source of a store layer. `key` (64 hex digits) names its folder; equal keys mean equal content. */
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
      /** Media type of the layer as stored, from the manifest; so are `digest` and `size`. */
      readonly mediaType: string;
      readonly digest: string;
      readonly size: number;
      /** Digest of the layer uncompressed. */
      readonly diffId: string;
    }
);
