// Who is shown credentials, and who is not.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { OperationError } from '../../../src/errors.ts';
import { honest, layer, manifest, sha, type Answer } from './honest-registry.ts';
import { makeRegistry } from './test-registry.ts';

const { scratch, server, other, pull } = makeRegistry();

describe('credentials', () => {
  const secret = Buffer.from('alice:hunter2').toString('base64');
  const write = (file: object): Readonly<Record<string, string>> => {
    const name = path.join(scratch, 'auth.json');
    fs.writeFileSync(name, JSON.stringify(file));
    return { REGISTRY_AUTH_FILE: name };
  };
  const basic = (): Readonly<Record<string, string>> =>
    write({ auths: { [`${server().host}/team`]: { auth: secret } } });

  const wantsBasic: Answer = (request, response) => {
    if (request.headers.authorization === `Basic ${secret}`) honest(request, response);
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="here"' }).end();
  };
  /** A token of the other server, which is its token server(). */
  const wantsToken: Answer = (request, response) => {
    if (request.headers.authorization === 'Bearer t0ken') honest(request, response);
    else {
      const challenge = `Bearer realm="http://${other().host}/token?x=y",service="here",scope="repository:any:push"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
    }
  };

  it('are shown only when they are asked for', async () => {
    await pull({ environment: basic() });
    expect(server().asked.join('\n')).not.toContain(secret);
    server().answer = wantsBasic;
    expect((await pull({ environment: basic() })).blob.equals(layer)).toBe(true);
  });

  it('that are missing or wrong are named without their words', async () => {
    server().answer = wantsBasic;
    await expect(pull()).rejects.toThrow(/does not let us read team\/app/);
    const wrong = write({
      auths: { [server().host]: { auth: Buffer.from('bob:swordfish').toString('base64') } },
    });
    const failure = await pull({ environment: wrong }).catch((error: unknown) => error as Error);
    expect(failure).toMatchObject({
      message: expect.stringMatching(/does not let us read/) as string,
    });
    expect(JSON.stringify(failure)).not.toMatch(/swordfish|Ym9iOn/);
  });

  it.each<[string, () => Readonly<Record<string, string>>, RegExp, object]>([
    ['nobody', () => ({}), /^GET \/token\?x=y&service=here&scope=repository%3Ateam%2Fapp%3Apull$/, {}],
    ['a password', basic, new RegExp(`^GET /token\\?.* Basic ${secret}$`), {}],
    [
      'a refresh token',
      () => write({ auths: { [server().host]: { identitytoken: 'r' } } }),
      /^POST \/token\?x=y$/,
      {
        scope: 'repository:team/app:pull',
        service: 'here',
        grant_type: 'refresh_token',
        client_id: 'runspec',
        refresh_token: 'r',
      },
    ],
  ])('of %s get one token for the whole process', async (_, environment, asked, sent) => {
    server().answer = wantsToken;
    let body = '';
    other().answer = (request, response) => {
      request.on('data', (text) => (body += String(text)));
      request.on('end', () => response.end(JSON.stringify({ token: 't0ken' })));
    };
    expect((await pull({ environment: environment() })).image.digest).toBe(sha(manifest));
    expect(other().asked).toEqual([expect.stringMatching(asked)]);
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual(sent);
  });

  it('that expire are asked for again', async () => {
    let valid = 'one';
    server().answer = (request, response) => {
      if (request.headers.authorization === `Bearer ${valid}`) {
        if (request.url?.includes('manifests') === true) valid = 'two';
        honest(request, response);
      } else wantsToken(request, response);
    };
    other().answer = (_, response) => response.end(JSON.stringify({ access_token: valid }));
    expect((await pull()).image.digest).toBe(sha(manifest));
    expect(other().asked).toHaveLength(2);
  });

  it.each<[string, Answer, RegExp]>([
    ['refuses', (_, response) => response.writeHead(401).end(), /gives no token for .* it answered 401/],
    ['says nothing of use', (_, response) => response.end('{}'), /holds no token$/],
    ['says something odd', (_, response) => response.end('{"token":"a\\r\\nb: c"}'), /holds no token$/],
    ['fails', (_, response) => response.writeHead(500).end(), /gives no token for .* it answered 500/],
  ])('fail when the token server %s', async (_, answer, message) => {
    server().answer = wantsToken;
    other().answer = answer;
    await expect(pull({ environment: basic() })).rejects.toThrow(message);
  });

  it('do not go where a redirect leads', async () => {
    server().answer = (request, response) => {
      if (request.headers.authorization !== `Basic ${secret}`) wantsBasic(request, response);
      else if (request.url?.includes(sha(layer)) === true)
        response.writeHead(307, { location: `http://${other().host}${request.url}?signature=s3cret` }).end();
      else honest(request, response);
    };
    other().answer = (request, response) => {
      request.url = request.url?.replace(/\?.*/, '');
      honest(request, response);
    };
    expect((await pull({ environment: basic() })).blob.equals(layer)).toBe(true);
    expect(other().asked).toEqual([`GET /v2/team/app/blobs/${sha(layer)}?signature=s3cret`]);
    other().answer = (_, response) => response.writeHead(404).end();
    await expect(pull({ environment: basic() })).rejects.not.toThrow(/s3cret/);
  });

  const withHelper = (name: string, script: string): Readonly<Record<string, string>> => {
    const folder = fs.mkdtempSync(path.join(scratch, 'bin-'));
    const text = `#!/bin/sh\n[ "$*" = get ] || exit 9\nread server\n${script}\n`;
    fs.writeFileSync(`${folder}/docker-credential-test`, text, { mode: 0o755 });
    const PATH = `${folder}:${process.env['PATH'] ?? ''}`;
    return { ...write({ credHelpers: { [server().host]: name } }), PATH };
  };
  const withStore = (script: string): Readonly<Record<string, string>> => ({
    ...withHelper('test', script),
    ...write({ credsStore: 'test' }),
  });

  it('come from a helper, which is told the server', async () => {
    server().answer = wantsBasic;
    const script = `[ "$server" = ${server().host} ] && echo '{"Username":"alice","Secret":"hunter2"}'`;
    expect((await pull({ environment: withHelper('test', script) })).image.digest).toBe(sha(manifest));
    expect((await pull({ environment: withStore(script) })).image.digest).toBe(sha(manifest));
  });

  it.each<[string, string, string, RegExp]>([
    ['has none', 'test', 'echo "credentials not found in native keychain"; exit 1', /does not let us read/],
    [
      'fails',
      'test',
      'echo hunter2; echo hunter2 >&2; exit 3',
      /docker-credential-test failed for .* with status 3$/,
    ],
    ['answers oddly', 'test', 'echo hunter2', /what docker-credential-test wrote is not JSON$/],
    ['is none', 'nobody', '', /docker-credential-nobody failed for /],
  ])('of a helper that %s are missed without a word of them', async (_, name, script, message) => {
    server().answer = wantsBasic;
    const environment = withHelper(name, script);
    await expect(pull({ environment })).rejects.toThrow(message);
    await expect(pull({ environment })).rejects.not.toThrow(/hunter2/);
  });

  it('of a helper that waits for somebody are given up with the rest', async () => {
    server().answer = wantsBasic;
    const started = path.join(scratch, 'started');
    const environment = withHelper('test', `echo $$ >${started}; exec sleep 300`);
    const interrupt = new AbortController();
    const pulling = pull({ environment, signal: interrupt.signal });
    await vi.waitFor(() => expect(fs.readFileSync(started, 'utf8')).toMatch(/^\d+\n$/), 20_000);
    interrupt.abort('SIGTERM');
    await expect(pulling).rejects.toBe('SIGTERM');
  });

  it('in a file that is none are not looked for any further', async () => {
    server().answer = wantsBasic;
    const pulling = pull({ environment: { REGISTRY_AUTH_FILE: scratch } });
    await expect(pulling).rejects.toThrow(`team/app:1: EINVAL: not a regular file, '${scratch}'`);
    await expect(pulling).rejects.toBeInstanceOf(OperationError);
  });
});
