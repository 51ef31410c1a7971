// The folder that `skopeo copy … dir:` writes: manifest.json, and every blob under the hex digits of its digest.
import { OperationError } from '../../errors.ts';
import { readWhole, shorten } from '../document.ts';
import type { Descriptor, ImageSource } from '../image.ts';
import { INDEXES, MANIFESTS } from '../media-types.ts';
import type { Files, SourceContext } from './files.ts';

export function openSkopeoDirectory({ signal }: SourceContext, files: Files, reference: string): ImageSource {
  return {
    reference,
    async readRoot(limit) {
      if (!(await files.has('manifest.json'))) {
        const layout = await files.has('index.json');
        throw new OperationError('it has no manifest.json', {
          hint: layout ? 'it looks like an OCI layout: write oci:DIR' : 'make it with skopeo copy … dir:DIR',
        });
      }
      const bytes = await readWhole(await files.open('manifest.json', signal), limit, 'manifest.json');
      // The folder does not keep the media type: only the document itself may say it.
      return { mediaType: '', bytes };
    },
    readDocument: async (descriptor, limit) => {
      const stream = await files.open(nameOf(descriptor), signal);
      return readWhole(stream, limit, `blob ${shorten(descriptor.digest)}`);
    },
    openBlob: (descriptor, aborted) => files.open(nameOf(descriptor), aborted),
  };
}

/** File of a blob: manifests below an index, kept by `skopeo copy --all`, have an ending. */
function nameOf({ digest, mediaType }: Descriptor): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  const base = algorithm === 'sha256' ? hex : `${algorithm}-${hex}`;
  return MANIFESTS.includes(mediaType) || INDEXES.includes(mediaType) ? `${base}.manifest.json` : base;
}
