// Sign-in to a registry: from its challenge to the value of `authorization`, a token of its token server, or name and
// password. A token is asked for once and used until it expires.
import { OperationError } from '../../errors.ts';
import type { FetchRequest } from '../../host/http.ts';
import { basic, printUrl } from '../../host/http.ts';
import { DOCUMENT_LIMIT, parseDocument, readWhole } from '../document.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import { findCredentials, type Credentials } from './credentials.ts';
import type { SourceContext } from './files.ts';

/** Seconds that the token specification assumes when a server says no lifetime. */
const LIFETIME_S = 60;
const HURRY_MS = 5_000;

export interface Authorizer {
  /** Value of the last answer, while it is good. */
  current(): string | undefined;
  /**
   * @param refused the value that the registry has just refused, if one was sent.
   * @param isSecure whether the challenge came over https: then a login goes over nothing else.
   * @returns undefined when the registry offers no way to sign in that can be used.
   */
  answer(header: string, refused: string | undefined, isSecure: boolean): Promise<string | undefined>;
}

interface Place {
  readonly registry: string;
  readonly repository: string;
  readonly plainHttp: boolean;
  readonly insecureTls: boolean;
}

export function createAuthorizer(context: SourceContext, place: Place): Authorizer {
  const { host } = context;
  let held: { readonly value: string; readonly until: number } | undefined;
  let asking: Promise<string | undefined> | undefined;
  const current = (): string | undefined =>
    held !== undefined && host.monotonic() < held.until ? held.value : undefined;
  const ask = async (header: string, isSecure: boolean): Promise<string | undefined> => {
    const challenges = parseChallenges(header);
    const credentials = await findCredentials(context, place.registry, place.repository);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) held = await fetchToken(context, place, bearer, credentials, isSecure);
    else if (
      challenges.some(({ scheme }) => scheme === 'basic') &&
      credentials !== undefined &&
      'username' in credentials
    )
      held = { value: basic(credentials.username, credentials.password), until: Number.POSITIVE_INFINITY };
    else return undefined;
    return held.value;
  };
  return {
    current,
    async answer(header, refused, isSecure) {
      // Several layers are refused at the same time: the first one asks for all.
      const known = current();
      if (known !== undefined && known !== refused) return known;
      asking ??= ask(header, isSecure).finally(() => (asking = undefined));
      return asking;
    },
  };
}

async function fetchToken(
  { archives, host, signal }: SourceContext,
  { registry, repository, plainHttp, insecureTls }: Place,
  { parameters }: Challenge,
  credentials: Credentials | undefined,
  isSecure: boolean,
): Promise<{ readonly value: string; readonly until: number }> {
  const { realm = '', service } = parameters;
  if (!URL.canParse(realm)) throw new OperationError(`${registry} names no place that gives tokens`);
  const url = new URL(realm);
  if (credentials !== undefined && isSecure && url.protocol !== 'https:')
    throw new OperationError(`${registry} wants its login sent to ${printUrl(url)}, which is not https`, {
      hint: 'log out of it to read what needs no login, or ask its administrator',
    });
  const query = { ...(service === undefined ? {} : { service }), scope: `repository:${repository}:pull` };
  const shared = { plainHttp, insecureTls, signal };
  let request: FetchRequest;
  if (credentials !== undefined && 'identityToken' in credentials) {
    const form = {
      ...query,
      grant_type: 'refresh_token',
      client_id: 'runspec',
      refresh_token: credentials.identityToken,
    };
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    request = {
      url: url.href,
      method: 'POST',
      headers,
      body: new URLSearchParams(form).toString(),
      ...shared,
    };
  } else {
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const headers =
      credentials === undefined ? {} : { authorization: basic(credentials.username, credentials.password) };
    request = { url: url.href, headers, ...shared };
  }
  const asked = host.monotonic();
  const response = await archives.fetch(request);
  const what = `the answer of ${response.url}`;
  if (response.status !== 200) {
    response.cancel();
    const login = `log in: docker login ${registry}, or podman login ${registry}`;
    throw new OperationError(
      `${response.url} gives no token for ${registry}/${repository}: it answered ${response.status}`,
      {
        hint: response.status === 401 || response.status === 403 ? login : 'try again later',
      },
    );
  }
  const document = parseDocument(await readWhole(response.body, DOCUMENT_LIMIT, what), what);
  const token = document['token'] ?? document['access_token'];
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    throw new OperationError(`${what} holds no token`);
  const lifetime = document['expires_in'];
  const seconds = typeof lifetime === 'number' && lifetime > 0 ? Math.max(lifetime, LIFETIME_S) : LIFETIME_S;
  return { value: `Bearer ${token}`, until: asked + seconds * 1000 - HURRY_MS };
}
