// Proxy of the environment, as curl and Go take it: https_proxy and no_proxy in either case, http_proxy in lower case.
// TLS goes through it as a tunnel, so that the proxy sees only the destination.
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { OperationError } from '../errors.ts';
import { basicOf } from './http.ts';

/**
 * Proxy for a URL; undefined for a direct connection, as always to this machine itself.
 * @throws OperationError when the variable holds no http:// URL.
 */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv): URL | undefined {
  const host = url.hostname;
  if (/^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/.test(host)) return undefined;
  // Only the lower case of http_proxy counts: a web server sets HTTP_PROXY from a header of its client (httpoxy).
  const names = url.protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy'];
  const text = names.map((name) => environment[name]).find((value) => value !== undefined && value !== '');
  if (text === undefined || isExempt(host, environment['no_proxy'] ?? environment['NO_PROXY'] ?? ''))
    return undefined;
  const written = text.includes('://') ? text : `http://${text}`;
  const proxy = URL.canParse(written) ? new URL(written) : undefined;
  if (proxy?.protocol === 'http:') return proxy;
  throw new OperationError(`the proxy that ${names.join(' or ')} names is not an http:// URL`);
}

/** Whether NO_PROXY lists the host: `example.org` and `.example.org` stand for all below, `*` for everything. */
function isExempt(host: string, list: string): boolean {
  return list
    .split(',')
    .map((entry) =>
      entry
        .trim()
        .replace(/^\*?\./, '')
        .replace(/:\d+$/, ''),
    )
    .some((entry) => entry !== '' && (entry === '*' || host === entry || host.endsWith(`.${entry}`)));
}

export async function connectThrough(
  proxy: URL,
  url: URL,
  tls: ConnectionOptions,
  signal: AbortSignal,
  idleMs: number,
): Promise<TLSSocket> {
  const [{ request }, { isIP }, { connect }] = await Promise.all([
    import('node:http'),
    import('node:net'),
    import('node:tls'),
  ]);
  const host = url.hostname.replaceAll(/[[\]]/g, '');
  const port = url.port === '' ? '443' : url.port;
  return new Promise((resolve, reject) => {
    const asked = request({
      host: proxy.hostname.replaceAll(/[[\]]/g, ''),
      port: proxy.port === '' ? 80 : proxy.port,
      method: 'CONNECT',
      path: `${url.hostname}:${port}`,
      headers: { host: `${url.hostname}:${port}`, ...proxyAuthorization(proxy) },
      signal,
      agent: false,
      timeout: idleMs,
    });
    asked.on('timeout', () => asked.destroy(new Error('the proxy does not answer')));
    asked.on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    asked.on('close', () => reject(new Error('the proxy closed the connection and gave no answer')));
    asked.on('connect', ({ statusCode = 0 }, socket) => {
      if (statusCode === 200) {
        const name = isIP(host) === 0 ? { servername: host } : {};
        resolve(connect({ ...tls, socket, host, ...name }));
        return;
      }
      socket.destroy();
      reject(new OperationError(`the proxy ${proxy.host} answered ${statusCode} when asked for ${url.host}`));
    });
    asked.end();
  });
}

export function proxyAuthorization(proxy: URL): Readonly<Record<string, string>> {
  return proxy.username === '' ? {} : { 'proxy-authorization': basicOf(proxy) };
}
