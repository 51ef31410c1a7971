// A registry: OCI distribution spec, which is Docker's Registry API v2, as far as pulling goes. Mirrors are asked
// first; what they cannot give, the registry gives.
import type { Readable } from 'node:stream';
import { OperationError } from '../../errors.ts';
import type { Archives } from '../../host/archives.ts';
import type { HttpResponse } from '../../host/http.ts';
import type { RegistryReference } from '../../load/image-reference.ts';
import { readWhole } from '../document.ts';
import type { ImageSource } from '../image.ts';
import { INDEXES, MANIFESTS } from '../media-types.ts';
import { connect, type Connection, type GetOptions } from './connect.ts';
import { parseRegistrySettings, type Endpoint } from './endpoints.ts';
import type { SourceContext } from './files.ts';

const ACCEPT = [...MANIFESTS, ...INDEXES].join(', ');
/** Connections of this process: each layer opens the image anew, while tokens and failed mirrors stay known. */
const known = new WeakMap<Archives, Map<string, readonly Connection[]>>();

export function openRegistry(
  context: SourceContext,
  reference: RegistryReference,
  text: string,
): ImageSource {
  const { archives, signal } = context;
  const { tag, digest } = reference;
  const connections = connectionsOf(context, reference);
  const open = (path: string, headers: GetOptions['headers'], aborted: AbortSignal): Promise<Body> =>
    fromFirst(connections, aborted, async (connection, once) => {
      const get = (more: GetOptions['headers'], until: AbortSignal, final: boolean): Promise<HttpResponse> =>
        connection.get({ path, headers: { ...headers, ...more }, once: !final, signal: until });
      const response = await get({}, aborted, !once);
      expectStatus(response, connection.endpoint, tag);
      return {
        mediaType: response.headers['content-type'] ?? '',
        stream: archives.resume(response, (more, until) => get(more, until, true), aborted),
      };
    });
  const readManifest = async (name: string, limit: number): Promise<{ mediaType: string; bytes: Buffer }> => {
    const { mediaType, stream } = await open(`manifests/${name}`, { accept: ACCEPT }, signal);
    return { mediaType, bytes: await readWhole(stream, limit, `manifest ${name}`) };
  };
  return {
    reference: text,
    ...(digest === undefined ? {} : { pin: digest }),
    readRoot: async (limit) => readManifest(digest ?? tag ?? 'latest', limit),
    readDocument: async (descriptor, limit) => {
      const { mediaType } = descriptor;
      if (MANIFESTS.includes(mediaType) || INDEXES.includes(mediaType))
        return (await readManifest(descriptor.digest, limit)).bytes;
      const { stream } = await open(`blobs/${descriptor.digest}`, {}, signal);
      return readWhole(stream, limit, `blob ${descriptor.digest}`);
    },
    openBlob: async (descriptor, aborted) => (await open(`blobs/${descriptor.digest}`, {}, aborted)).stream,
  };
}

interface Body {
  readonly mediaType: string;
  readonly stream: Readable;
}

function connectionsOf(
  context: SourceContext,
  { registry, repository }: RegistryReference,
): readonly Connection[] {
  const all = known.get(context.archives) ?? new Map<string, readonly Connection[]>();
  known.set(context.archives, all);
  const name = `${registry}/${repository}`;
  const settings = parseRegistrySettings(context.host.environment);
  const connections =
    all.get(name) ??
    settings
      .endpointsOf(registry, repository)
      .map((endpoint) => connect(context, endpoint, settings.isInsecure(endpoint.host)));
  all.set(name, connections);
  return connections;
}

/** Result of the first server that can give it. A mirror that failed once is not asked again. */
async function fromFirst<T>(
  connections: readonly Connection[],
  signal: AbortSignal,
  attempt: (connection: Connection, once: boolean) => Promise<T>,
): Promise<T> {
  const reasons: string[] = [];
  for (const connection of connections) {
    const last = connection === connections.at(-1);
    if (connection.failed && !last) continue;
    try {
      return await attempt(connection, !last);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof OperationError)) throw error;
      if (last) throw reasons.length === 0 ? error : withReasons(error, reasons);
      connection.failed = true;
      reasons.push(`the mirror ${connection.endpoint.host} failed as well: ${error.message}`);
    }
  }
  throw new OperationError('there is no server to ask');
}

function withReasons(error: OperationError, reasons: readonly string[]): OperationError {
  const hint = [error.hint, ...reasons].filter((one) => one !== undefined).join('; ');
  return new OperationError(error.message, { cause: error.cause, hint });
}

/** @throws OperationError that says what a registry's answer means. */
function expectStatus(
  response: HttpResponse,
  { registry, repository }: Endpoint,
  tag: string | undefined,
): void {
  const { status, reason } = response;
  if (status === 200) return;
  response.cancel();
  const login = `log in: docker login ${registry}, or podman login ${registry}`;
  if (status === 404) {
    throw new OperationError(`${registry} has no such image`, {
      hint: `check repository ${repository} and tag ${tag ?? ''}`.trimEnd(),
    });
  }
  if (status === 401 || status === 403) {
    throw new OperationError(`${registry} does not let us read ${repository}`, {
      hint: `the image does not exist or is not public; ${login}`,
    });
  }
  if (status === 429)
    throw new OperationError(`${registry} says there were too many requests`, { hint: `wait, or ${login}` });
  throw new OperationError(`${response.url} answered ${status} ${reason}`.trimEnd(), {
    hint: 'try again later',
  });
}
