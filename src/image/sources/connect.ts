// A repository on one server: where its API is, and requests that sign in when they are asked to.
import type { HttpResponse } from '../../host/http.ts';
import { createAuthorizer } from './authorize.ts';
import type { Endpoint } from './endpoints.ts';
import type { SourceContext } from './files.ts';

const LOOPBACK = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})(?::\d+)?$/;

export interface GetOptions {
  /** Path relative to the repository, as in `manifests/latest`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** True when a failed request is not tried again, because another server stands in. */
  readonly once: boolean;
  readonly signal: AbortSignal;
}

export interface Connection {
  readonly endpoint: Endpoint;
  /** True once the server has failed and another stands in. */
  failed: boolean;
  get(options: GetOptions): Promise<HttpResponse>;
}

export function connect(context: SourceContext, endpoint: Endpoint, insecure: boolean): Connection {
  const { archives } = context;
  const { host, registry, repository } = endpoint;
  const transport = { plainHttp: insecure, insecureTls: insecure };
  const authorizer = createAuthorizer(context, { registry, repository, ...transport });
  let origin: Promise<string> | undefined;
  return {
    endpoint,
    failed: false,
    async get({ path, headers, once, signal }) {
      const url = `${await (origin ??= findOrigin(context, host, insecure))}/v2/${repository}/${path}`;
      const send = (authorization: string | undefined): Promise<HttpResponse> =>
        archives.fetch({
          url,
          headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
          ...transport,
          once,
          signal,
        });
      const first = authorizer.current();
      const response = await send(first);
      // A challenge from where the server redirects to gets no login of the server.
      const isOwn = new URL(response.url).origin === new URL(url).origin;
      if (response.status !== 401 || !isOwn) return response;
      const challenge = response.headers['www-authenticate'] ?? '';
      const answer = await authorizer.answer(challenge, first, url.startsWith('https:'));
      if (answer === undefined) return response;
      response.cancel();
      return send(answer);
    },
  };
}

/** Origin of a server: https, unless plain http is allowed there and https is not spoken. */
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
    // A bad certificate is no reason for plain http, which proves nothing at all.
    const { cause } = error as Error;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) throw error;
    return `http://${server}`;
  }
}
