// A registry in this process, as hostile as it can be, and another host that must never see a password.
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createLinuxArchives } from '../../src/host/linux-archives.ts';
import type { Image } from '../../src/image/image.ts';
import { platformOf } from '../../src/image/platform.ts';
import { readImage } from '../../src/image/read-image.ts';
import { openImageSource } from '../../src/image/sources/open-source.ts';
import { parseImageReference } from '../../src/load/image-reference.ts';
import { BLOB, config, honest, layer, manifest, sha, type Answer } from './honest-registry.ts';
import { host, makeScratch } from './scratch.ts';

describe('a registry', () => {
  const scratch = makeScratch();
  /** By the end of the path; what is not here is answered honestly. */
  let answers: Readonly<Record<string, Answer>> = {};
  let requests: http.IncomingMessage[] = [];
  const serve = (): http.Server =>
    http.createServer((request, response) => {
      requests.push(request);
      const key = Object.keys(answers).find((end) => request.url?.split('?')[0]?.endsWith(end) === true);
      (answers[key ?? ''] ?? honest)(request, response);
    });
  const servers = [serve(), serve()] as const;
  const portOf = (at: 0 | 1): number => (servers[at].address() as AddressInfo).port;
  beforeAll(async () => {
    for (const server of servers)
      await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    answers = {};
    requests = [];
  });
  afterAll(() => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  });

  async function pull(
    name = 'team/app:1',
    { idleMs = 5000, environment = {} }: { idleMs?: number; environment?: Record<string, string> } = {},
  ): Promise<Image & { readonly blob: Buffer }> {
    const { signal } = new AbortController();
    const parsed = parseImageReference(`docker://127.0.0.1:${portOf(0)}/${name}`, '/');
    if ('problem' in parsed) throw new Error(parsed.problem);
    const archives = createLinuxArchives(undefined, { idleMs, retryMs: 2 });
    const context = {
      host: { ...host, environment: { PATH: process.env['PATH'], ...environment } },
      archives,
      signal,
    };
    const source = await openImageSource(context, parsed.value);
    const image = await readImage(source, platformOf('x64'));
    const chunks: Buffer[] = [];
    for (const { descriptor } of image.layers)
      for await (const chunk of await source.openBlob(descriptor, signal)) chunks.push(chunk as Buffer);
    return { ...image, blob: Buffer.concat(chunks) };
  }

  const login = (): Record<string, string> => {
    const file = path.join(scratch, 'auth.json');
    const auth = Buffer.from('me:secret word').toString('base64');
    fs.writeFileSync(file, JSON.stringify({ auths: { [`127.0.0.1:${portOf(0)}/team`]: { auth } } }));
    return { REGISTRY_AUTH_FILE: file };
  };
  const sent = (): readonly string[] => requests.flatMap((request) => request.headers.authorization ?? []);

  it('gives an image by tag and by digest', async () => {
    expect((await pull()).blob.equals(layer)).toBe(true);
    expect(await pull(`team/app@${sha(manifest)}`)).toMatchObject({ digest: sha(manifest) });
    expect(sent()).toEqual([]);
  });

  it('is asked for the rest where the connection is cut', async () => {
    let cuts = 0;
    answers = {
      [BLOB]: (request, response) => {
        cuts += 1;
        if (cuts > 4) {
          honest(request, response);
          return;
        }
        const start = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
        const range = { 'content-range': `bytes ${start}-${layer.length - 1}/${layer.length}` };
        response.writeHead(start === 0 ? 200 : 206, {
          etag: '"one"',
          'content-length': layer.length - start,
          ...range,
        });
        response.write(layer.subarray(start, start + 100_000), () =>
          setTimeout(() => response.destroy(), 10),
        );
      },
    };
    expect((await pull()).blob.equals(layer)).toBe(true);
    expect(cuts).toBeGreaterThan(4);
  });

  it('that knows no ranges begins anew, and what is known is left out', async () => {
    let asked = 0;
    answers = {
      [BLOB]: (_, response) => {
        asked += 1;
        response.writeHead(200, { etag: '"one"', 'content-length': layer.length });
        if (asked === 3) response.end(layer);
        else response.write(layer.subarray(0, 300_000), () => setTimeout(() => response.destroy(), 10));
      },
    };
    expect((await pull()).blob.equals(layer)).toBe(true);
  });

  it('is asked again after 429, 503 and a reset, and given up in the end', async () => {
    let asked = 0;
    answers = {
      'manifests/1': (request, response) => {
        asked += 1;
        if (asked === 1) response.writeHead(429, { 'retry-after': '0' }).end();
        else if (asked === 2) response.writeHead(503).end();
        else if (asked === 3) response.destroy();
        else honest(request, response);
      },
    };
    expect(await pull()).toMatchObject({ digest: sha(manifest) });
    answers = { 'manifests/1': (_, response) => void response.destroy() };
    await expect(pull()).rejects.toThrow(/cannot fetch http:\/\/127.0.0.1/);
    answers = {
      'manifests/1': (_, response) => void response.writeHead(429, { 'retry-after': '9999' }).end(),
    };
    await expect(pull()).rejects.toThrow(/too many requests/);
  });

  it.each<[string, string, Answer, RegExp]>([
    [
      'a manifest of 100 MB',
      'manifests/1',
      (_, response) => void response.end(Buffer.alloc(100_000_000, ' ')),
      /larger than 4194304 bytes/,
    ],
    [
      'redirects without end',
      'manifests/1',
      (_, response) => void response.writeHead(302, { location: '1' }).end(),
      /redirects more than 10 times/,
    ],
    [
      'a redirect to a file',
      BLOB,
      (_, response) => void response.writeHead(302, { location: 'file:///etc/shadow' }).end(),
      /neither http nor https/,
    ],
    [
      'a redirect to plain http elsewhere',
      BLOB,
      (_, response) => void response.writeHead(302, { location: 'http://192.0.2.1/x' }).end(),
      /plain http/,
    ],
    [
      'another config',
      sha(config),
      (_, response) => void response.end('{"os":1}'.padEnd(config.length)),
      /config sha256:\w+ has digest/,
    ],
    [
      'a longer config',
      sha(config),
      (_, response) => void response.end(`${config} `),
      /larger than|bytes, not/,
    ],
    ['no such tag', 'manifests/1', (_, response) => void response.writeHead(404).end(), /has no such image/],
    [
      'a change of protocols',
      BLOB,
      ({ socket }) =>
        void socket.end('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n'),
      /gave no answer/,
    ],
    [
      'compressed transport',
      BLOB,
      (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(),
      /content-encoding/,
    ],
    [
      'no way to log in',
      'manifests/1',
      (_, response) => void response.writeHead(401, { 'www-authenticate': 'Negotiate' }).end(),
      /does not let us read team\/app/,
    ],
    [
      'a page for people',
      'manifests/1',
      (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      /not JSON|text\/html/,
    ],
  ])('with %s is refused', async (_, end, answer, message) => {
    answers = { [end]: answer };
    await expect(pull()).rejects.toThrow(message);
  });

  it.each<[string, Answer]>([
    ['nothing', () => undefined],
    [
      'a byte now and then',
      (_, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(timer));
      },
    ],
  ])('that sends %s is dead', async (_, answer) => {
    answers = { 'manifests/1': answer };
    await expect(pull('team/app:1', { idleMs: 150 })).rejects.toThrow(/sent nothing, or next to nothing/);
  });

  it('gets name and password when it asks, and no other host does', async () => {
    const away =
      (end: string): Answer =>
      (_, response) =>
        void response.writeHead(307, { location: `http://127.0.0.1:${portOf(1)}/v2/team/app/${end}` }).end();
    const elsewhere: (string | undefined)[] = [];
    const guarded =
      (end: string): Answer =>
      (request, response) => {
        if (Number(request.socket.localPort) === portOf(1)) {
          elsewhere.push(request.headers.authorization);
          honest(request, response);
        } else if (request.headers.authorization === undefined)
          response.writeHead(401, { 'www-authenticate': 'Basic realm="x, y"' }).end();
        else away(end)(request, response);
      };
    answers = { [BLOB]: guarded(BLOB), 'manifests/1': guarded('manifests/1') };
    expect((await pull('team/app:1', { environment: login() })).blob.equals(layer)).toBe(true);
    expect(elsewhere).toEqual([undefined, undefined]);
    expect(new Set(sent())).toEqual(new Set([`Basic ${Buffer.from('me:secret word').toString('base64')}`]));
    await expect(pull()).rejects.toThrow(/does not let us read/);
  });

  it('gives a token for name and password, which is asked for once', async () => {
    const realm = `http://127.0.0.1:${portOf(1)}/token`;
    const guarded: Answer = (request, response) => {
      if (request.headers.authorization === 'Bearer t0ken') honest(request, response);
      else
        response
          .writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="r",scope="x"` })
          .end();
    };
    const asked: (string | undefined)[] = [];
    answers = {
      [BLOB]: guarded,
      'manifests/1': guarded,
      [sha(config)]: guarded,
      '/token': (request, response) => {
        asked.push(request.url, request.headers.authorization);
        response.end(JSON.stringify({ token: 't0ken', expires_in: 300 }));
      },
    };
    expect((await pull('team/app:1', { environment: login() })).blob.equals(layer)).toBe(true);
    expect(asked).toEqual([
      '/token?service=r&scope=repository%3Ateam%2Fapp%3Apull',
      `Basic ${Buffer.from('me:secret word').toString('base64')}`,
    ]);
    answers = { ...answers, '/token': (_, response) => void response.writeHead(401).end() };
    const failure = await pull('team/app:1', { environment: login() }).catch((error: unknown) => error);
    expect(JSON.stringify([failure, String(failure), (failure as Error).stack])).not.toMatch(/secret|bWU6/);
  });

  it('gets what a helper knows', async () => {
    const folder = path.join(scratch, 'bin');
    fs.mkdirSync(folder, { recursive: true });
    const script =
      '#!/bin/sh\n[ "$1" = get ] && [ "$#" = 1 ] && printf \'{"Username":"me","Secret":"%s"}\' "$(cat)"\n';
    fs.writeFileSync(path.join(folder, 'docker-credential-test'), script, { mode: 0o755 });
    fs.writeFileSync(path.join(scratch, 'config.json'), '{"credsStore":"test"}');
    answers = {
      'manifests/1': (request, response) => {
        if (request.headers.authorization === undefined)
          response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
        else honest(request, response);
      },
    };
    const former = process.env['PATH'];
    process.env['PATH'] = `${folder}:${former ?? ''}`;
    try {
      await pull('team/app:1', { environment: { DOCKER_CONFIG: scratch, PATH: process.env['PATH'] } });
    } finally {
      process.env['PATH'] = former;
    }
    expect(sent()).toContain(`Basic ${Buffer.from(`me:127.0.0.1:${portOf(0)}`).toString('base64')}`);
  });
});
