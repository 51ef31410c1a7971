// One HTTP request and its response, through Node: no redirects, no retries. The first request loads node:http and
// node:https, because loading them takes longer than a whole `plan` may.
import fs from 'node:fs';
import type { Agent as HttpAgent, IncomingMessage } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import { OperationError } from '../errors.ts';
import type { SendExchange } from './fetch.ts';
import { basicOf, printUrl, type Exchange, type HttpResponse, type HttpSettings } from './http.ts';
import { except } from './linux-errno.ts';
import { connectThrough, proxyAuthorization, proxyFor } from './linux-proxy.ts';

/** Fewest bytes in four idle times: a server that trickles less, to keep a connection busy, counts as dead. */
const TRICKLE = 16 * 1024;

/** Files in which distributions keep the certificates that the machine's administrator trusts. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];

/** @param environment names proxies and certificates. */
export function createExchange(settings: HttpSettings, environment: NodeJS.ProcessEnv): SendExchange {
  const agents = new Map<string, HttpAgent | HttpsAgent>();
  return async (exchange) => {
    const { url, method, headers, body, signal } = exchange;
    signal.throwIfAborted();
    const secure = url.protocol === 'https:';
    const proxy = proxyFor(url, environment);
    const { request } = secure ? await import('node:https') : await import('node:http');
    const way = await findWay(exchange, proxy, agents, { settings, environment });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      // URL without its user: Node would send the proxy's user name and password to the server.
      const sent = request(withoutUser(proxy === undefined || secure ? url : proxy), {
        method,
        signal,
        ...way,
        headers: {
          'user-agent': 'runspec',
          // No compression of the transport: the digest is of the bytes as stored.
          'accept-encoding': 'identity',
          ...(url.username === '' ? {} : { authorization: basicOf(url) }),
          ...headers,
          ...way.headers,
        },
      });
      sent.on('response', resolve);
      // Timer for the headers only; `watch` times the body.
      const timer = setTimeout(() => sent.destroy(stalled(settings)), settings.idleMs);
      sent.on('close', () => clearTimeout(timer));
      sent.on('response', () => clearTimeout(timer));
      sent.on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
      // A server that changes protocols unasked closes the request with neither a response nor an error.
      sent.on('close', () => reject(new Error('the server closed the connection and gave no answer')));
      sent.end(body);
    });
    return describeResponse(url, response, settings);
  };
}

interface Way {
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
  readonly agent?: HttpAgent | HttpsAgent;
  readonly createConnection?: () => Duplex;
}

async function findWay(
  { url, insecureTls, signal }: Exchange,
  proxy: URL | undefined,
  agents: Map<string, HttpAgent | HttpsAgent>,
  { settings, environment }: { readonly settings: HttpSettings; readonly environment: NodeJS.ProcessEnv },
): Promise<Way> {
  const secure = url.protocol === 'https:';
  const tls = insecureTls ? { rejectUnauthorized: false } : secure ? trust(environment) : {};
  if (proxy !== undefined && secure) {
    const socket = await connectThrough(proxy, url, tls, signal, settings.idleMs);
    return { createConnection: () => socket };
  }
  if (proxy !== undefined)
    return { path: withoutUser(url).href, headers: { host: url.host, ...proxyAuthorization(proxy) } };
  const kind = `${url.protocol}${insecureTls}`;
  let agent = agents.get(kind);
  if (agent === undefined) {
    const { Agent } = secure ? await import('node:https') : await import('node:http');
    agent = new Agent({ keepAlive: true, ...tls });
    agents.set(kind, agent);
  }
  return { agent };
}

function withoutUser(url: URL): URL {
  const bare = new URL(url);
  bare.username = bare.password = '';
  return bare;
}

/** Certificates that the machine trusts, as every other program here does, and not the list built into Node. */
function trust(environment: NodeJS.ProcessEnv): { readonly ca?: string } {
  const named = [environment['SSL_CERT_FILE'], ...BUNDLES];
  const extra = environment['NODE_EXTRA_CA_CERTS'];
  const read = (file: string | undefined): string =>
    file === undefined || file === ''
      ? ''
      : except(() => fs.readFileSync(file, 'utf8'), '', 'ENOENT', 'EACCES');
  const file = named.find((name) => read(name) !== '');
  // With a `ca` of ours Node no longer reads NODE_EXTRA_CA_CERTS, so the file is added here.
  return file === undefined ? {} : { ca: [...new Set([file, extra])].map(read).join('\n') };
}

function describeResponse(url: URL, response: IncomingMessage, settings: HttpSettings): HttpResponse {
  const headers = Object.entries(response.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as const],
  );
  const encoding = response.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    response.destroy();
    throw new OperationError(`${printUrl(url)} sends what was not asked for: content-encoding ${encoding}`);
  }
  return {
    url: printUrl(url),
    status: response.statusCode ?? 0,
    reason: (response.statusMessage ?? '').replaceAll(/[^\x20-\x7e]/g, '').slice(0, 80),
    headers: Object.fromEntries(headers),
    body: watch(response, settings),
    cancel: () => void response.destroy(),
  };
}

/**
 * Passes the body on, and destroys it when the server stalls. Only the wait for the server counts, not the time that
 * the reader takes.
 */
async function* watch(response: IncomingMessage, settings: HttpSettings): AsyncGenerator<Buffer> {
  let waiting = performance.now();
  let waited = 0;
  let bytes = 0;
  const check = (): void => {
    const now = Number.isNaN(waiting) ? 0 : performance.now() - waiting;
    const trickles = waited + now > 4 * settings.idleMs && bytes < TRICKLE;
    if (now > settings.idleMs || trickles) response.destroy(stalled(settings));
  };
  const timer = setInterval(check, settings.idleMs / 8);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      waited += performance.now() - waiting;
      bytes += chunk.length;
      if (bytes >= TRICKLE) waited = bytes = 0;
      waiting = Number.NaN;
      yield chunk;
      waiting = performance.now();
    }
  } finally {
    clearInterval(timer);
  }
}

function stalled({ idleMs }: HttpSettings): Error {
  return Object.assign(
    new Error(`the server sent nothing, or next to nothing, for ${idleMs / 1000} seconds`),
    {
      code: 'ETIMEDOUT',
    },
  );
}
