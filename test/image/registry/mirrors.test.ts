// Mirrors and proxies: other ways to what a registry has.
import http from 'node:http';
import { describe, expect, it } from 'vitest';
import { honest, manifest, sha } from './honest-registry.ts';
import { makeRegistry } from './test-registry.ts';

const { server, other, pull } = makeRegistry();

describe('mirrors', () => {
  const environment = (): Readonly<Record<string, string>> => ({
    RUNSPEC_REGISTRY_MIRRORS: `${server().host}=${other().host}/team`,
  });
  const reference = (): string => `docker://${server().host}/app:1`;

  it('are asked first, and the registry not at all', async () => {
    expect((await pull({ environment: environment(), reference: reference() })).image).toMatchObject({
      reference: reference(),
      digest: sha(manifest),
    });
    expect(server().asked).toEqual([]);
    expect(other().asked).toContain('GET /v2/team/app/manifests/1');
  });

  it('that fail are asked once', async () => {
    server().answer = (request, response) => {
      request.url = request.url?.replace('/v2/app', '/v2/team/app');
      honest(request, response);
    };
    other().answer = (_, response) => response.writeHead(503).end();
    expect((await pull({ environment: environment(), reference: reference() })).image.digest).toBe(
      sha(manifest),
    );
    expect(other().asked.filter((line) => !line.endsWith('/v2/'))).toHaveLength(1);
  });

  it('are named when the registry fails as well', async () => {
    for (const one of [server(), other()]) one.answer = (_, response) => response.writeHead(404).end();
    await expect(pull({ environment: environment(), reference: reference() })).rejects.toMatchObject({
      hint: expect.stringContaining(`the mirror ${other().host} failed as well`) as string,
    });
  });
});

it('a proxy of the environment is spoken to in its own way', async () => {
  const secret = Buffer.from('p:q').toString('base64');
  const seen: unknown[] = [];
  const proxy = http.createServer((request, response) => {
    const { host: named, 'proxy-authorization': known, authorization } = request.headers;
    seen.push([request.url, named, known, authorization]);
    request.url = new URL(request.url ?? '').pathname;
    honest(request, response);
  });
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as { readonly port: number };
  const environment = {
    // Which knows no tunnels: the registry is then spoken to over plain http.
    https_proxy: `http://127.0.0.1:${port}`,
    http_proxy: `http://p:q@127.0.0.1:${port}`,
    RUNSPEC_INSECURE_REGISTRIES: 'registry.invalid',
  };
  try {
    const { image } = await pull({ environment, reference: 'docker://registry.invalid/team/app:1' });
    expect(image.digest).toBe(sha(manifest));
    expect(seen[0]).toEqual([
      'http://registry.invalid/v2/team/app/manifests/1',
      'registry.invalid',
      `Basic ${secret}`,
      undefined,
    ]);
  } finally {
    proxy.close();
    proxy.closeAllConnections();
  }
});
