// Fetches an http(s) URL into a file, hashing as it goes. Plain http from other machines is taken only
// when a pin checks the content, because anyone on the way could change it.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OperationError } from '../errors.ts';
import type { Content, DownloadOptions } from './archives.ts';
import { describeFailure, fetchUrl, type SendExchange } from './fetch.ts';
import type { HttpResponse, HttpSettings } from './http.ts';
import { lengthOf, resumable } from './resume.ts';
import { megabytes, throttle } from './linux-unpack.ts';

export async function download(
  send: SendExchange,
  settings: HttpSettings,
  url: string,
  path: string,
  options: DownloadOptions,
): Promise<Content> {
  const { limit, signal } = options;
  const get = (headers: Readonly<Record<string, string>>, aborted: AbortSignal): Promise<HttpResponse> =>
    fetchUrl(send, settings, {
      url,
      headers: { accept: '*/*', ...headers },
      plainHttp: options.pinned,
      signal: aborted,
    });
  const response = await get({}, signal);
  const from = response.url;
  if (response.status !== 200) {
    response.cancel();
    throw new OperationError(`${from} answered ${response.status} ${response.reason}`.trimEnd(), {
      hint: response.status === 404 ? 'check the address' : 'try again later, or give a local file',
    });
  }
  const announced = lengthOf(response);
  if (announced !== undefined && announced > limit) {
    response.cancel();
    throw tooLarge(from, limit);
  }
  const hash = createHash('sha256');
  const report = throttle(options.progress, 500);
  let size = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > limit) {
        done(tooLarge(from, limit));
        return;
      }
      hash.update(chunk);
      report(
        () => `fetched ${megabytes(size)}${announced === undefined ? '' : ` of ${megabytes(announced)}`}`,
      );
      done(null, chunk);
    },
  });
  const file = fs.createWriteStream(path, { flags: 'wx', mode: 0o600 });
  try {
    await pipeline(resumable(response, get, settings, signal), measure, file, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw describe(error, from);
  }
  return { sha256: hash.digest('hex'), size };
}

function describe(error: unknown, from: string): unknown {
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return new OperationError(`cannot fetch ${from}: no space left on the disk`, {
      cause: error,
      hint: 'free some space (runspec image gc removes unused layers), or choose another place with --data-dir',
    });
  }
  return describeFailure(error, new URL(from));
}

function tooLarge(from: string, limit: number): OperationError {
  return new OperationError(`${from} is larger than ${megabytes(limit)}`);
}
