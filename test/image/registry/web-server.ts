// Web servers of a test's own on loopback, which remember what they were asked.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Answer } from './honest-registry.ts';

export interface WebServer {
  /** 127.0.0.1:PORT. */
  readonly host: string;
  /** `METHOD URL AUTHORIZATION`, in the order they came. */
  readonly asked: string[];
  /** From now on. */
  answer: Answer;
  close(): void;
}

export async function startWebServer(answer: Answer): Promise<WebServer> {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push([request.method, request.url, request.headers.authorization].filter(Boolean).join(' '));
    if (request.url === '/v2/') response.end('{}');
    else started.answer(request, response);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const started: WebServer = {
    host,
    asked,
    answer,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return started;
}
