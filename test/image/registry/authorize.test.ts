// Where a login goes, as the answers of a registry would have it.
import { expect, it } from 'vitest';
import type { Archives } from '../../../src/host/archives.ts';
import type { FetchRequest, HttpResponse } from '../../../src/host/http.ts';
import { connect } from '../../../src/image/sources/connect.ts';
import { createFixtureHost } from '../../host/fixture-host.ts';

const LOGIN = Buffer.from('alice:hunter2').toString('base64');
const SERVER = 'reg.example';

/** What a registry is asked that answers 401 from `url` with this challenge. */
async function ask(
  url: string,
  challenge: string,
  insecure: boolean,
): Promise<{ readonly asked: readonly FetchRequest[]; readonly failure: unknown }> {
  const auth = JSON.stringify({ auths: { [SERVER]: { auth: LOGIN } } });
  const host = {
    ...createFixtureHost({ files: { '/auth.json': auth } }),
    environment: { REGISTRY_AUTH_FILE: '/auth.json' },
    monotonic: () => 0,
  };
  const asked: FetchRequest[] = [];
  const fetch = async (request: FetchRequest): Promise<HttpResponse> => {
    asked.push(request);
    const isToken = request.url.includes('/token');
    const headers = isToken ? {} : { 'www-authenticate': challenge };
    const body = Promise.resolve(Buffer.from('{"token":"t"}'));
    return {
      url: request.url.startsWith(`https://${SERVER}/`) ? url : request.url,
      status: isToken ? 200 : 401,
      reason: '',
      headers,
      body: (async function* () {
        yield await body;
      })(),
      cancel: () => undefined,
    };
  };
  const { signal } = new AbortController();
  const context = { host, archives: { fetch } as unknown as Archives, signal };
  const connection = connect(context, { host: SERVER, registry: SERVER, repository: 'a' }, insecure);
  const failure = await connection.get({ path: 'manifests/1', headers: {}, once: true, signal }).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { asked, failure };
}

const shown = (asked: readonly FetchRequest[]): readonly string[] =>
  asked
    .filter(({ headers }) => headers?.['authorization']?.includes(LOGIN))
    .map(({ url }) => new URL(url).origin);

it.each([true, false])(
  'goes to no plain http where the registry has https, insecure or not: %s',
  async (insecure) => {
    const challenge = 'Bearer realm="http://127.0.0.1:8090/token?x=y",service="s"';
    const { asked, failure } = await ask(`https://${SERVER}/v2/`, challenge, insecure);
    expect(String(failure)).toContain(
      'wants its login sent to http://127.0.0.1:8090/token, which is not https',
    );
    expect(shown(asked)).toEqual([]);
  },
);

it('goes to the token server that the registry names', async () => {
  const { asked } = await ask(`https://${SERVER}/v2/`, 'Bearer realm="https://auth.example/token"', false);
  expect(shown(asked)).toEqual(['https://auth.example']);
});

it.each(['Bearer realm="https://evil.example/token"', 'Basic realm="x"'])(
  'goes nowhere when another asks for it, to whom the registry redirects: %s',
  async (challenge) => {
    const { asked } = await ask('https://elsewhere.example/blob', challenge, false);
    expect(shown(asked)).toEqual([]);
    expect(asked).toHaveLength(1);
  },
);
