// Manifests and indexes: which of them a document is, and the content of a manifest. Pure.
import { OperationError } from '../errors.ts';
import { fieldsOf, listOf, parseDescriptor, parseDocument, type Fields } from './document.ts';
import type { Descriptor } from './image.ts';
import {
  checkConfigType,
  checkDocumentType,
  checkLayerType,
  INDEXES,
  OCI_INDEX,
  OCI_MANIFEST,
  SCHEMA_1,
  schema1,
} from './media-types.ts';

/** Media types of sources that do not know them: skopeo's folders, careless web servers. */
const UNTYPED = ['', 'application/json', 'application/octet-stream', 'text/plain'];

export interface Document {
  readonly mediaType: string;
  readonly fields: Fields;
}

/**
 * Media type and fields of a document.
 * @throws OperationError when it can be taken for two things: a signature or pin on it would vouch for one of them only
 *   (CVE-2021-41190).
 */
export function readDocumentFields(
  { mediaType, bytes }: { readonly mediaType: string; readonly bytes: Buffer },
  what: string,
): Document {
  const outer = mediaType.split(';')[0]?.trim() ?? '';
  if (SCHEMA_1.test(outer)) throw schema1();
  const fields = parseDocument(bytes, what);
  if (fields['schemaVersion'] === 1) throw schema1();
  if (fields['schemaVersion'] !== 2) throw new OperationError(`${what} is not of schema version 2`);
  const inner = fields['mediaType'];
  const guess = fields['manifests'] === undefined ? OCI_MANIFEST : OCI_INDEX;
  const declared = typeof inner === 'string' && inner !== '' ? inner : undefined;
  const type = UNTYPED.includes(outer) ? (declared ?? guess) : outer;
  if (declared !== undefined && declared !== type)
    throw new OperationError(`${what} says it is ${declared}, but is served as ${type}`);
  checkDocumentType(type);
  const foreign = INDEXES.includes(type) ? ['config', 'layers'] : ['manifests'];
  const odd = [...foreign, 'fsLayers'].find((key) => fields[key] !== undefined);
  if (odd !== undefined)
    throw new OperationError(`${what} is ${type}, but has ${odd}: it could be taken for two things`);
  return { mediaType: type, fields };
}

export interface Manifest {
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
}

export function parseManifest(fields: Fields): Manifest {
  const config = parseDescriptor(fieldsOf(fields['config'], 'config of the manifest'), 'the config');
  checkConfigType(config);
  if (!Array.isArray(fields['layers'])) throw new OperationError('the manifest has no list of layers');
  const layers = listOf(fields['layers'], 'layers of the manifest').map((value, index) =>
    parseDescriptor(value, `layer ${index + 1}`),
  );
  for (const layer of layers) checkLayerType(layer);
  return { config, layers };
}
