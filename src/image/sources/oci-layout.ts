// OCI image layout, image-layout.md: index.json names manifests, blobs/ALGORITHM/HEX are their bytes. In a
// folder, or in an archive that was made of one.
import { OperationError } from '../../errors.ts';
import {
  DOCUMENT_LIMIT,
  fieldsOf,
  listOf,
  parseDescriptor,
  parseDocument,
  readWhole,
  shorten,
} from '../document.ts';
import type { Descriptor, ImageSource } from '../image.ts';
import { OCI_INDEX } from '../media-types.ts';
import type { Files, SourceContext } from './files.ts';

const NAME = 'org.opencontainers.image.ref.name';

/** @param name which of its images; without it the layout must have one. */
export function openLayout(
  { signal }: SourceContext,
  files: Files,
  reference: string,
  name: string | undefined,
): ImageSource {
  const read = async (file: string, limit: number): Promise<Buffer> =>
    readWhole(await files.open(file, signal), limit, file);
  return {
    reference,
    async readRoot(limit) {
      if (!(await files.has('index.json')))
        throw new OperationError('it is no OCI image layout: it has no index.json');
      const version = parseDocument(await read('oci-layout', DOCUMENT_LIMIT), 'oci-layout')[
        'imageLayoutVersion'
      ];
      if (version !== '1.0.0') throw new OperationError('it is no OCI image layout of version 1.0.0');
      const index = parseDocument(await read('index.json', limit), 'index.json');
      const manifests = chooseByName(listOf(index['manifests'], 'manifests of index.json'), name);
      // Rebuilt from the descriptors that were understood: the rest may be nested as deep as it likes.
      const document = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
      return { mediaType: OCI_INDEX, bytes: Buffer.from(JSON.stringify(document)) };
    },
    readDocument: async (descriptor, limit) => {
      const stream = await openBlob(files, descriptor, signal);
      return readWhole(stream, limit, `blob ${shorten(descriptor.digest)}`);
    },
    openBlob: (descriptor, aborted) => openBlob(files, descriptor, aborted),
  };
}

function openBlob(files: Files, { digest }: Descriptor, signal: AbortSignal): ReturnType<Files['open']> {
  return files.open(`blobs/${digest.replace(':', '/')}`, signal);
}

/** Several entries of one name are one image for several platforms. */
function chooseByName(manifests: readonly unknown[], name: string | undefined): readonly Descriptor[] {
  const entries = manifests.map((value, index) => {
    const what = `manifests[${index}] of index.json`;
    const annotations = fieldsOf(value, what)['annotations'] ?? {};
    return {
      name: fieldsOf(annotations, `annotations of ${what}`)[NAME],
      descriptor: parseDescriptor(value, what),
    };
  });
  const names = [
    ...new Set(entries.flatMap((entry) => (typeof entry.name === 'string' ? [entry.name] : []))),
  ];
  const known = names.length === 0 ? 'its images have no tags' : `it has ${names.toSorted().join(', ')}`;
  const chosen = entries.filter((entry) => name === undefined || entry.name === name);
  if (chosen.length === 0) {
    const hint = entries.length === 0 ? 'the layout is empty' : known;
    throw new OperationError(name === undefined ? 'it has no image' : `it has no image ${name}`, { hint });
  }
  if (name === undefined && new Set(chosen.map((entry) => entry.name)).size > 1)
    throw new OperationError('it has several images', { hint: `choose one with oci:DIR:TAG; ${known}` });
  return chosen.map((entry) => entry.descriptor);
}
