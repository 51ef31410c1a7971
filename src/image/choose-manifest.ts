// Choice of the manifest for one platform, from an index or from indexes in indexes.
import { OperationError } from '../errors.ts';
import { DOCUMENT_LIMIT, checkDigest, listOf, parseDescriptor, shorten, type Fields } from './document.ts';
import type { Descriptor, Digest, ImageSource, Platform } from './image.ts';
import { INDEXES, MANIFESTS } from './media-types.ts';
import { describePlatform, rankPlatform } from './platform.ts';
import { readDocumentFields } from './read-manifest.ts';

/** Limits of nesting: real images have one index, buildx layouts one in another. */
const DEEPEST = 4;
const MOST_INDEXES = 32;

interface Search {
  readonly source: ImageSource;
  readonly platform: Platform;
  /** Indexes read so far. */
  readonly seen: Set<Digest>;
  /** Platforms that the image was found to have. */
  readonly offered: Set<string>;
}

/** @throws OperationError naming the platforms there are when none fits. */
export async function chooseManifest(
  source: ImageSource,
  index: Fields,
  platform: Platform,
): Promise<Descriptor> {
  const search = { source, platform, seen: new Set<Digest>(), offered: new Set<string>() };
  const found = await searchIndex(search, index, 1);
  if (found !== undefined) return found;
  const offered = [...search.offered].toSorted().join(', ');
  throw new OperationError(`there is no image for ${describePlatform(platform)}`, {
    hint: offered === '' ? 'its index names no image at all' : `there are images for ${offered}`,
  });
}

async function searchIndex(search: Search, index: Fields, depth: number): Promise<Descriptor | undefined> {
  const { platform, offered } = search;
  const entries = listOf(index['manifests'], 'manifests of the index').map((value, at) =>
    parseDescriptor(value, `manifests[${at}] of the index`),
  );
  // Other entries of indexes (attestations, signatures) say `unknown` or are of another type.
  const manifests = entries.filter(
    (entry) => MANIFESTS.includes(entry.mediaType) && entry.platform?.os !== 'unknown',
  );
  for (const entry of manifests)
    if (entry.platform !== undefined) offered.add(describePlatform(entry.platform));
  const fitting = manifests
    .flatMap((entry) => {
      const rank = entry.platform === undefined ? undefined : rankPlatform(platform, entry.platform);
      return rank === undefined ? [] : [{ entry, rank }];
    })
    .toSorted((one, other) => one.rank - other.rank);
  if (fitting[0] !== undefined) return fitting[0].entry;
  const [plain, another] = manifests.filter((entry) => entry.platform === undefined);
  if (another !== undefined) {
    throw new OperationError('its index names several images and does not say what for', {
      hint: 'choose one of them by its tag or digest',
    });
  }
  if (plain !== undefined) return plain;
  for (const entry of entries.filter(({ mediaType }) => INDEXES.includes(mediaType))) {
    const found = await searchIndex(search, await readIndex(search, entry, depth + 1), depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function readIndex({ source, seen }: Search, entry: Descriptor, depth: number): Promise<Fields> {
  const what = `index ${shorten(entry.digest)}`;
  if (seen.has(entry.digest)) throw new OperationError(`${what} is named twice: the indexes go in circles`);
  seen.add(entry.digest);
  if (depth > DEEPEST) throw new OperationError(`there are more than ${DEEPEST} indexes in each other`);
  if (seen.size > MOST_INDEXES) throw new OperationError(`there are more than ${MOST_INDEXES} indexes`);
  const bytes = await readChecked(source, entry, what);
  return readDocumentFields({ mediaType: entry.mediaType, bytes }, what).fields;
}

/** Reads a document below the root, and checks the size and digest that its descriptor says. */
export async function readChecked(
  source: ImageSource,
  descriptor: Descriptor,
  what: string,
): Promise<Buffer> {
  if (descriptor.size > DOCUMENT_LIMIT)
    throw new OperationError(`${what} has ${descriptor.size} bytes, over the limit of ${DOCUMENT_LIMIT}`);
  // One byte more than its size: enough to see that it is longer.
  const bytes = await source.readDocument(descriptor, descriptor.size + 1);
  if (bytes.length !== descriptor.size)
    throw new OperationError(`${what} has ${bytes.length} bytes, not ${descriptor.size}`);
  checkDigest(bytes, descriptor.digest, what);
  return bytes;
}
