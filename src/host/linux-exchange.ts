// One HTTP request and its response, through Node: no redirects, no retries. node:http and node:https are loaded
// when the first request is sent, as they take longer to load than `plan` has.
import fs from 'node:fs';
import type { Agent as HttpAgent, IncomingMessage, RequestOptions } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { OperationError } from '../errors.ts';
import type { SendExchange } from './fetch.ts';
import { basicOf, printUrl, type Exchange, type HttpResponse, type HttpSettings } from './http.ts';
import { except } from './linux-errno.ts';
import { connectThrough, proxyFor } from './linux-proxy.ts';

/** A server that trickles bytes to keep a connection busy: less than this in four idle times is a dead one. */
const TRICKLE = 16 * 1024;

/** Where distributions keep the certificates that the machine's administrator trusts. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];

export function createExchange(settings: HttpSettings): SendExchange {
  const agents = new Map<string, HttpAgent | HttpsAgent>();
  return async (exchange) => {
    const { url, method, headers, body, signal } = exchange;
    signal.throwIfAborted();
    const secure = url.protocol === 'https:';
    const proxy = proxyFor(url, process.env);
    const { request } = secure ? await import('node:https') : await import('node:http');
    const options: RequestOptions = {
      method,
      signal,
      // Compression of the transport would come between the bytes and their hash.
      headers: { 'user-agent': 'runspec', 'accept-encoding': 'identity', ...headers },
      ...(await route(exchange, proxy, agents, settings)),
    };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const target = proxy === undefined || secure ? url : proxy;
      const sent = request(target, options, resolve);
      // Until the headers are here; what comes after is watched by its reader.
      const timer = setTimeout(() => sent.destroy(stalled(settings)), settings.idleMs);
      sent.on('close', () => clearTimeout(timer));
      sent.on('response', () => clearTimeout(timer));
      sent.on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
      sent.end(body);
    });
    return describeResponse(url, response, settings);
  };
}

async function route(
  { url, insecureTls, signal }: Exchange,
  proxy: URL | undefined,
  agents: Map<string, HttpAgent | HttpsAgent>,
  settings: HttpSettings,
): Promise<RequestOptions> {
  if (proxy !== undefined) {
    if (url.protocol === 'https:') {
      const tls = { ...(insecureTls ? { rejectUnauthorized: false } : trust()) };
      const socket = await connectThrough(proxy, url, tls, signal, settings.idleMs);
      return { createConnection: () => socket, agent: false };
    }
    const authorization = proxy.username === '' ? {} : { 'proxy-authorization': basicOf(proxy) };
    return { path: url.href, headers: { host: url.host, ...authorization } };
  }
  const kind = `${url.protocol}${insecureTls}`;
  let agent = agents.get(kind);
  if (agent === undefined) {
    if (url.protocol === 'https:') {
      const { Agent } = await import('node:https');
      agent = new Agent({ keepAlive: true, ...(insecureTls ? { rejectUnauthorized: false } : trust()) });
    } else {
      const { Agent } = await import('node:http');
      agent = new Agent({ keepAlive: true });
    }
    agents.set(kind, agent);
  }
  return { agent };
}

/** The machine's own trust, as every other program here has it, and not the list that Node brings along. */
function trust(): { readonly ca?: string } {
  const named = [process.env['SSL_CERT_FILE'], ...BUNDLES];
  const extra = process.env['NODE_EXTRA_CA_CERTS'];
  const read = (file: string | undefined): string =>
    file === undefined || file === ''
      ? ''
      : except(() => fs.readFileSync(file, 'utf8'), '', 'ENOENT', 'EACCES');
  const file = named.find((name) => read(name) !== '');
  // Node reads the extra file only for a list of its own.
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

/** Only the time spent waiting for the server counts, not that which the reader takes. */
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
