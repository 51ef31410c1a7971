// Words of HTTP, as fetch.ts and resume.ts pass them on. Names of headers are lower case.

export interface Exchange {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** True accepts any certificate: the server need not prove who it is. */
  readonly insecureTls: boolean;
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  /** URL after all redirects, without user name, password and query. */
  readonly url: string;
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Body of the response. Fails when nothing arrives for too long; has to be read or cancelled. */
  readonly body: AsyncIterable<Buffer>;
  /** Gives the body up, and the connection with it. */
  cancel(): void;
}

export interface FetchRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  /** `authorization` goes to the origin of `url` only, not where it redirects to. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** True accepts plain http to other machines: somebody asked for it, or the content is checked. */
  readonly plainHttp?: boolean;
  readonly insecureTls?: boolean;
  /** True returns the first answer or failure. By default cut connections, 429 and 5xx are retried. */
  readonly once?: boolean;
  readonly signal: AbortSignal;
}

export interface HttpSettings {
  /** Milliseconds without a byte after which a connection is dead. */
  readonly idleMs: number;
  /** Milliseconds before the first retry; each one waits twice as long as the one before. */
  readonly retryMs: number;
}

/** Retries after failures in a row. */
export const RETRIES = 4;

/** Longest `Retry-After` that is waited for. */
export const LONGEST_WAIT_MS = 60_000;

/** Errors that may pass: a server that is started again refuses connections for a while. */
const TRANSIENT = [
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
];

/** Whether the same request may well succeed the next time. */
export function isTransient(error: unknown): boolean {
  return error instanceof Error && 'code' in error && TRANSIENT.includes(String(error.code));
}

/** Milliseconds that `Retry-After` asks for: seconds, or a date. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** URL for messages: without user name and password, and without the query, which signs in at some stores. */
export function printUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** The value of `authorization` for user name and password. */
export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

export function basicOf({ username, password }: URL): string {
  return basic(decodeURIComponent(username), decodeURIComponent(password));
}
