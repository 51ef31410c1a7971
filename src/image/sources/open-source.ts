// Sources by reference. A new kind of source is a new case here and a file beside.
import { formatImageReference, type ImageReference } from '../../load/image-reference.ts';
import type { ImageSource } from '../image.ts';
import { nameArchive } from '../inspect-tar.ts';
import { openArchiveFiles } from './archive-files.ts';
import { openDockerArchive } from './docker-archive.ts';
import { openFolder, type SourceContext } from './files.ts';
import { openLayout } from './oci-layout.ts';
import { openSkopeoDirectory } from './skopeo-directory.ts';

/** @throws OperationError that begins with the reference when there is nothing to open. */
export async function openImageSource(
  context: SourceContext,
  reference: ImageReference,
): Promise<ImageSource> {
  try {
    return await open(context, reference, formatImageReference(reference));
  } catch (error) {
    throw nameArchive(error, formatImageReference(reference));
  }
}

async function open(context: SourceContext, reference: ImageReference, text: string): Promise<ImageSource> {
  switch (reference.transport) {
    case 'oci':
      return openLayout(context, await openFolder(context, reference.path), text, reference.name);
    case 'dir':
      return openSkopeoDirectory(context, await openFolder(context, reference.path), text);
    case 'docker-archive':
      return openDockerArchive(
        context,
        await openArchiveFiles(context, reference.path),
        text,
        reference.name,
      );
    case 'docker':
      // Loaded when needed: most sources are on this machine.
      return (await import('./registry.ts')).openRegistry(context, reference, text);
  }
}
