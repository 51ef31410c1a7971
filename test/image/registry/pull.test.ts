// A registry that cuts, stalls, lies and sends elsewhere, and what becomes of a pull from it.
import { describe, expect, it } from 'vitest';
import { BLOB, config, honest, layer, manifest, sha, type Answer } from './honest-registry.ts';
import { makeRegistry } from './test-registry.ts';

const { server, pull } = makeRegistry();

/** By the end of the path; what is not here is answered honestly. */
function answer(answers: Readonly<Record<string, Answer>>): void {
  server().answer = (request, response) => {
    const key = Object.keys(answers).find((end) => request.url?.split('?')[0]?.endsWith(end) === true);
    (answers[key ?? ''] ?? honest)(request, response);
  };
}

describe('a registry', () => {
  it('gives an image by tag and by digest', async () => {
    expect((await pull()).blob.equals(layer)).toBe(true);
    const reference = `docker://${server().host}/team/app@${sha(manifest)}`;
    expect((await pull({ reference })).image.digest).toBe(sha(manifest));
  });

  it('is asked for the rest where the connection is cut', async () => {
    let cuts = 0;
    answer({
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
    });
    expect((await pull()).blob.equals(layer)).toBe(true);
    expect(cuts).toBeGreaterThan(4);
  });

  it('that knows no ranges begins anew, and what is known is left out', async () => {
    let asked = 0;
    answer({
      [BLOB]: (_, response) => {
        asked += 1;
        response.writeHead(200, { etag: '"one"', 'content-length': layer.length });
        if (asked === 3) response.end(layer);
        else response.write(layer.subarray(0, 300_000), () => setTimeout(() => response.destroy(), 10));
      },
    });
    expect((await pull()).blob.equals(layer)).toBe(true);
  });

  it('is asked again after 429, 503 and a reset, and given up in the end', async () => {
    let asked = 0;
    answer({
      'manifests/1': (request, response) => {
        asked += 1;
        if (asked === 1) response.writeHead(429, { 'retry-after': '0' }).end();
        else if (asked === 2) response.writeHead(503).end();
        else if (asked === 3) response.destroy();
        else honest(request, response);
      },
    });
    expect((await pull()).image.digest).toBe(sha(manifest));
    answer({ 'manifests/1': (_, response) => void response.destroy() });
    await expect(pull()).rejects.toThrow(/cannot fetch http:\/\/127.0.0.1/);
    answer({
      'manifests/1': (_, response) => void response.writeHead(429, { 'retry-after': '9999' }).end(),
    });
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
  ])('with %s is refused', async (_, end, lie, message) => {
    answer({ [end]: lie });
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
  ])('that sends %s is dead', async (_, silence) => {
    answer({ 'manifests/1': silence });
    await expect(pull({ settings: { idleMs: 150 } })).rejects.toThrow(/sent nothing, or next to nothing/);
  });
});
