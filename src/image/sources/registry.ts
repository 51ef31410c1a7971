// A registry: OCI distribution spec, which is Docker's Registry API v2, as far as pulling goes.
import { OperationError } from '../../errors.ts';
import type { HttpResponse } from '../../host/http.ts';
import type { RegistryReference } from '../../load/image-reference.ts';
import { readWhole } from '../document.ts';
import type { ImageSource } from '../image.ts';
import { INDEXES, MANIFESTS } from '../media-types.ts';
import { createAuthorizer } from './authorize.ts';
import type { SourceContext } from './files.ts';

const ACCEPT = [...MANIFESTS, ...INDEXES].join(', ');
const LOOPBACK = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})(?::\d+)?$/;
/** Registries of this list, with commas between them, may speak plain http and prove nothing. */
const INSECURE = 'RUNSPEC_INSECURE_REGISTRIES';

type Get = (
  path: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
) => Promise<HttpResponse>;

export async function openRegistry(
  context: SourceContext,
  reference: RegistryReference,
  text: string,
): Promise<ImageSource> {
  const { archives, signal } = context;
  const { tag, digest } = reference;
  const get = await connect(context, reference);
  const readManifest = async (name: string, limit: number): Promise<{ mediaType: string; bytes: Buffer }> => {
    const response = await get(`manifests/${name}`, { accept: ACCEPT }, signal);
    expectStatus(response, reference);
    const bytes = await readWhole(response.body, limit, `manifest ${name}`);
    return { mediaType: response.headers['content-type'] ?? '', bytes };
  };
  return {
    reference: text,
    ...(digest === undefined ? {} : { pin: digest }),
    readRoot: async (limit) => readManifest(digest ?? tag ?? 'latest', limit),
    readDocument: async (descriptor, limit) => {
      const { mediaType } = descriptor;
      if (MANIFESTS.includes(mediaType) || INDEXES.includes(mediaType))
        return (await readManifest(descriptor.digest, limit)).bytes;
      const response = await get(`blobs/${descriptor.digest}`, {}, signal);
      expectStatus(response, reference);
      return readWhole(response.body, limit, `blob ${descriptor.digest}`);
    },
    openBlob: async (descriptor, aborted) => {
      const again = (headers: Readonly<Record<string, string>>): Promise<HttpResponse> =>
        get(`blobs/${descriptor.digest}`, headers, aborted);
      const response = await again({});
      expectStatus(response, reference);
      return archives.resume(response, again, aborted);
    },
    close: async () => undefined,
  };
}

async function connect(context: SourceContext, { registry, repository }: RegistryReference): Promise<Get> {
  const { archives, host } = context;
  const insecure = (host.environment[INSECURE] ?? '').split(',').some((name) => name.trim() === registry);
  const server = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const origin = await findOrigin(context, server, insecure);
  const transport = { plainHttp: insecure, insecureTls: insecure };
  const authorizer = createAuthorizer(context, { registry, repository, ...transport });
  return async (path, headers, signal) => {
    const url = `${origin}/v2/${repository}/${path}`;
    const send = (authorization: string | undefined): Promise<HttpResponse> =>
      archives.fetch({
        url,
        headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
        ...transport,
        signal,
      });
    const first = authorizer.current();
    const response = await send(first);
    if (response.status !== 401) return response;
    const answer = await authorizer.answer(response.headers['www-authenticate'] ?? '', first);
    if (answer === undefined) return response;
    response.cancel();
    return send(answer);
  };
}

/** https, except where plain http is allowed and nothing else is spoken. */
async function findOrigin(
  { archives, signal }: SourceContext,
  server: string,
  insecure: boolean,
): Promise<string> {
  const secure = `https://${server}`;
  if (!insecure && !LOOPBACK.test(server)) return secure;
  try {
    const ping = await archives.fetch({ url: `${secure}/v2/`, insecureTls: insecure, once: true, signal });
    ping.cancel();
    return secure;
  } catch (error) {
    signal.throwIfAborted();
    // A certificate that proves nothing is no reason to give up proof altogether.
    const { cause } = error as Error;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) throw error;
    return `http://${server}`;
  }
}

/** @throws OperationError that says what a registry's answer means. */
function expectStatus(response: HttpResponse, { registry, repository, tag }: RegistryReference): void {
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
