// Fetches an http(s) URL into a file, hashing as it goes. Plain http from other machines is taken only
// when a pin checks the content, because anyone on the way could change it.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OperationError } from '../errors.ts';
import { mayFetch, type Content, type DownloadOptions } from './archives.ts';
import { megabytes, throttle } from './linux-unpack.ts';

const REDIRECTS = 10;
/** Without a byte from the server. */
const IDLE_MS = 30_000;

export async function download(url: string, path: string, options: DownloadOptions): Promise<Content> {
  const { response, from } = await follow(url, options);
  const announced = Number(response.headers['content-length'] ?? Number.NaN);
  if (announced > options.limit) {
    response.destroy();
    throw tooLarge(from, options.limit);
  }
  const hash = createHash('sha256');
  const report = throttle(options.progress);
  let size = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > options.limit) {
        done(tooLarge(from, options.limit));
        return;
      }
      hash.update(chunk);
      report(() => `fetched ${megabytes(size)}${announced > 0 ? ` of ${megabytes(announced)}` : ''}`);
      done(null, chunk);
    },
  });
  const file = fs.createWriteStream(path, { flags: 'wx', mode: 0o600 });
  try {
    await pipeline(response, measure, file, { signal: options.signal });
  } catch (error) {
    options.signal.throwIfAborted();
    throw describe(error, from);
  }
  if (announced >= 0 && size !== announced) {
    throw new OperationError(`${from} ended after ${size} of ${announced} bytes`, { hint: 'try again' });
  }
  return { sha256: hash.digest('hex'), size };
}

async function follow(
  start: string,
  options: DownloadOptions,
): Promise<{ readonly response: IncomingMessage; readonly from: string }> {
  let url = new URL(start);
  for (let hops = 0; hops <= REDIRECTS; hops++) {
    checkScheme(url, options.pinned);
    const response = await request(url, options.signal);
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    if (status === 200) return { response, from: printed(url) };
    response.destroy();
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) {
      throw new OperationError(
        `${printed(url)} answered ${status} ${response.statusMessage ?? ''}`.trimEnd(),
        {
          hint: status === 404 ? 'check the address' : 'try again later, or give a local file',
        },
      );
    }
    url = parseLocation(location, url);
  }
  throw new OperationError(`${start} redirects more than ${REDIRECTS} times`);
}

function parseLocation(location: string, base: URL): URL {
  if (URL.canParse(location, base.href)) return new URL(location, base.href);
  throw new OperationError(`${printed(base)} redirects to ${location}, which is no URL`);
}

/** @throws OperationError for schemes other than https, and for http that nothing vouches for. */
function checkScheme(url: URL, pinned: boolean): void {
  if (!['http:', 'https:'].includes(url.protocol))
    throw new OperationError(`${printed(url)} is neither http nor https`);
  if (mayFetch(url, pinned)) return;
  throw new OperationError(`${printed(url)} is plain http and nothing vouches for its content`, {
    hint: 'use https, or pin the archive with sha256',
  });
}

async function request(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  // Loaded when needed: http and tls take longer to load than `plan` has.
  const { get } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  // Compression of the transport would come between the archive and its hash.
  const headers = { 'user-agent': 'runspec', accept: '*/*', 'accept-encoding': 'identity' };
  return new Promise((resolve, reject) => {
    const sent = get(url, { headers, signal, timeout: IDLE_MS }, resolve);
    sent.on('timeout', () => sent.destroy(new Error(`no answer for ${IDLE_MS / 1000} seconds`)));
    sent.on('error', (error) => reject(signal.aborted ? signal.reason : describe(error, printed(url))));
  });
}

function describe(error: unknown, from: string): unknown {
  if (error instanceof OperationError || !(error instanceof Error)) return error;
  if ('code' in error && error.code === 'ENOSPC') {
    return new OperationError(`cannot fetch ${from}: no space left on the disk`, {
      cause: error,
      hint: 'free some space (runspec image gc removes unused layers), or choose another place with --data-dir',
    });
  }
  return new OperationError(`cannot fetch ${from}: ${error.message || String(error)}`, {
    cause: error,
    hint: 'check the address and the network, or give a local file',
  });
}

function tooLarge(from: string, limit: number): OperationError {
  return new OperationError(`${from} is larger than ${megabytes(limit)}`);
}

/** Without user name and password. */
function printed(url: URL): string {
  const clean = new URL(url);
  clean.username = clean.password = '';
  return clean.href;
}
