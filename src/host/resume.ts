// Body that goes on where it stopped when its connection was cut. A server that admits a change of the content in
// between is found out here, one that does not by the reader, who checks the digest.
import type { Readable } from 'node:stream';
import { OperationError } from '../errors.ts';
import { describeFailure, pause } from './fetch.ts';
import { isTransient, RETRIES, type HttpResponse, type HttpSettings } from './http.ts';
import { streamOf } from './stream-of.ts';

/** Bytes after which earlier failures are forgiven. */
const PROGRESS = 64 * 1024;

/** Sends the request again, with these headers added. */
export type Again = (headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<HttpResponse>;

export function resumable(
  first: HttpResponse,
  again: Again,
  settings: HttpSettings,
  signal: AbortSignal,
): Readable {
  const closed = new AbortController();
  const chunks = read(first, again, settings, AbortSignal.any([signal, closed.signal]));
  return streamOf(chunks, (error) => {
    closed.abort(error ?? new Error('nobody reads it any more'));
    first.cancel();
  });
}

async function* read(
  first: HttpResponse,
  again: Again,
  settings: HttpSettings,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const total = lengthOf(first);
  let response = first;
  /** `given`: bytes given so far. `known`: bytes of this response still to skip, as they were given before. */
  let given = 0;
  let known = 0;
  let failures = 0;
  let safe = 0;
  try {
    for (;;) {
      try {
        for await (const chunk of response.body) {
          const fresh = chunk.length <= known ? chunk.subarray(chunk.length) : chunk.subarray(known);
          known = Math.max(0, known - chunk.length);
          given += fresh.length;
          if (fresh.length > 0) yield fresh;
        }
        if (total === undefined || given >= total) return;
        throw Object.assign(new Error(`the connection ended after ${given} of ${total} bytes`), {
          code: 'ECONNRESET',
        });
      } catch (error) {
        signal.throwIfAborted();
        if (!isTransient(error)) throw describeFailure(error, new URL(first.url));
        if (given - safe >= PROGRESS) {
          failures = 0;
          safe = given;
        }
        if (failures === RETRIES) throw giveUp(first, error, given, total);
        await pause(settings, failures, signal, undefined);
        failures += 1;
      }
      response.cancel();
      response = await again({ range: `bytes=${given}-`, ...validator(first) }, signal);
      known = begins(first, response, given, total);
    }
  } finally {
    response.cancel();
  }
}

/** `If-Range`: the server sends the rest only if the content is still the same. */
function validator({ headers }: HttpResponse): Readonly<Record<string, string>> {
  const { etag } = headers;
  return etag === undefined || etag.startsWith('W/') ? {} : { 'if-range': etag };
}

/** Bytes of the response to skip, as they were given before. @throws OperationError when it is not the rest. */
function begins(
  first: HttpResponse,
  { url, status, reason, headers, ...response }: HttpResponse,
  given: number,
  total: number | undefined,
): number {
  if (status === 206 && headers['content-range']?.startsWith(`bytes ${given}-`) === true) return 0;
  const same = headers['etag'] === first.headers['etag'] && lengthOf({ ...first, headers }) === total;
  if (status === 200 && same) return given;
  response.cancel();
  throw new OperationError(
    status === 200
      ? `${url} changed while it was fetched`
      : `${url} answered ${status} ${reason} when asked for the rest behind byte ${given}`.replace('  ', ' '),
    { hint: 'try again' },
  );
}

export function lengthOf({ headers }: Pick<HttpResponse, 'headers'>): number | undefined {
  const text = headers['content-length'] ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function giveUp(
  first: HttpResponse,
  cause: unknown,
  given: number,
  total: number | undefined,
): OperationError {
  const message = cause instanceof Error ? cause.message : String(cause);
  // `aborted` is Node's word for a body whose connection was cut.
  const reason = message === 'aborted' ? 'the connection was cut' : message;
  const of = total === undefined ? '' : ` of ${total}`;
  return new OperationError(
    `cannot fetch ${first.url}: ${reason}, after ${given}${of} bytes and ${RETRIES} retries`,
    {
      cause,
      hint: 'check the network and try again',
    },
  );
}
