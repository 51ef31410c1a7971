// Fetches one URL: follows redirects, tries again where that can help. Credentials go to nobody but the origin they are
// for.
import { setTimeout } from 'node:timers/promises';
import { OperationError } from '../errors.ts';
import { mayFetch } from './archives.ts';
import {
  isTransient,
  LONGEST_WAIT_MS,
  parseRetryAfter,
  printUrl,
  RETRIES,
  type Exchange,
  type FetchRequest,
  type HttpResponse,
  type HttpSettings,
} from './http.ts';

const REDIRECTS = 10;
const BUSY = [429, 500, 502, 503, 504];

export type SendExchange = (exchange: Exchange) => Promise<HttpResponse>;

/** Sends a request until it has an answer: any status but a redirect. @throws OperationError when there is none. */
export async function fetchUrl(
  send: SendExchange,
  settings: HttpSettings,
  request: FetchRequest,
): Promise<HttpResponse> {
  for (let failures = 0; ; failures++) {
    const last = request.once === true || failures === RETRIES;
    let wait: number | undefined;
    try {
      const response = await follow(send, request);
      if (last || !BUSY.includes(response.status)) return response;
      wait = parseRetryAfter(response.headers['retry-after'], Date.now());
      // A longer wait than people have patience for is not obeyed: the response is the answer.
      if (wait !== undefined && wait > LONGEST_WAIT_MS) return response;
      response.cancel();
    } catch (error) {
      request.signal.throwIfAborted();
      if (last || !isTransient(error)) throw describeFailure(error, new URL(request.url));
    }
    await pause(settings, failures, request.signal, wait);
  }
}

/**
 * Waits twice as long with every failure, plus a random part, so that clients that failed together do not all return at
 * once.
 */
export async function pause(
  { retryMs }: HttpSettings,
  failures: number,
  signal: AbortSignal,
  asked: number | undefined,
): Promise<void> {
  const own = retryMs * 2 ** failures * (1 + Math.random() / 4);
  try {
    await setTimeout(Math.max(own, asked ?? 0), undefined, { signal });
  } catch (error) {
    // The timer's own AbortError does not say who interrupted.
    signal.throwIfAborted();
    throw error;
  }
}

async function follow(send: SendExchange, request: FetchRequest): Promise<HttpResponse> {
  const { signal, body, plainHttp = false } = request;
  const start = new URL(request.url);
  let url = start;
  let headers = request.headers ?? {};
  for (let hops = 0; hops <= REDIRECTS; hops++) {
    checkScheme(url, plainHttp);
    const method = hops === 0 ? (request.method ?? 'GET') : 'GET';
    const sent = hops === 0 && body !== undefined ? { body } : {};
    // insecureTls holds for the host that was named, not for one that it redirects to.
    const insecureTls = request.insecureTls === true && url.host === start.host;
    const response = await send({ url, method, headers, insecureTls, signal, ...sent });
    const { location } = response.headers;
    if (![301, 302, 303, 307, 308].includes(response.status)) return response;
    response.cancel();
    if (location === undefined || method === 'POST')
      throw new OperationError(`${printUrl(url)} answered ${response.status} and no place to go to`);
    const next = parseLocation(location, url);
    // checkScheme would let plain http on this machine pass; a redirect from https must not lead there.
    if (url.protocol === 'https:' && next.protocol === 'http:' && !plainHttp)
      throw new OperationError(`${printUrl(url)} redirects to plain http: ${printUrl(next)}`);
    if (next.origin !== url.origin) headers = withoutCredentials(headers);
    url = next;
  }
  throw new OperationError(`${printUrl(start)} redirects more than ${REDIRECTS} times`);
}

function withoutCredentials(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^(?:authorization|cookie)$/i.test(name)),
  );
}

function parseLocation(location: string, base: URL): URL {
  if (URL.canParse(location, base.href)) return new URL(location, base.href);
  throw new OperationError(`${printUrl(base)} redirects to what is no URL`);
}

/** @throws OperationError for schemes other than https, and for http that nothing vouches for. */
function checkScheme(url: URL, plainHttp: boolean): void {
  if (!['http:', 'https:'].includes(url.protocol))
    throw new OperationError(`${url.protocol}//${url.host}${url.pathname} is neither http nor https`);
  if (mayFetch(url, plainHttp)) return;
  throw new OperationError(`${printUrl(url)} is plain http and nothing vouches for its content`, {
    hint: 'use https, or pin the archive with sha256',
  });
}

export function describeFailure(error: unknown, url: URL): unknown {
  if (error instanceof OperationError || !(error instanceof Error)) return error;
  return new OperationError(`cannot fetch ${printUrl(url)}: ${reasonOf(error)}`, {
    cause: error,
    hint: 'check the address and the network',
  });
}

/** Message of an error; for a name with several addresses Node gives one error for each. */
function reasonOf(error: Error): string {
  const [first] = error instanceof AggregateError ? (error.errors as readonly unknown[]) : [];
  return first instanceof Error ? first.message : error.message || String(error);
}
