// Credentials of a user for a registry, from containers-auth.json(5) and Docker's config.json with its helpers. Nothing
// read here may reach a message, a log or the arguments of a program.
import { OperationError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { fieldsOf, parseDocument, textOf, type Fields } from '../document.ts';
import type { SourceContext } from './files.ts';

export type Credentials =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string };

const HUB = 'https://index.docker.io/v1/';

/** Credentials from the first file that knows the repository or its registry; undefined to ask without a name. */
export async function findCredentials(
  { host, signal }: Pick<SourceContext, 'host' | 'signal'>,
  registry: string,
  repository: string,
): Promise<Credentials | undefined> {
  const ask: AskHelper = (name, server) => askHelper(host, name, server, signal);
  for (const file of authFiles(host.environment)) {
    const text = await host.readText(file);
    if (text === undefined || text.trim() === '') continue;
    const document = parseDocument(Buffer.from(text), file);
    const found = await lookUp(ask, document, keysOf(registry, repository), file);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function authFiles({
  HOME,
  REGISTRY_AUTH_FILE,
  XDG_RUNTIME_DIR,
  XDG_CONFIG_HOME,
  DOCKER_CONFIG,
}: Host['environment']): readonly string[] {
  const below = (folder: string | undefined, name: string): readonly string[] =>
    folder === undefined || folder === '' ? [] : [`${folder}/${name}`];
  const home = (name: string): string | undefined =>
    HOME === undefined || HOME === '' ? undefined : `${HOME}/${name}`;
  return [
    ...(REGISTRY_AUTH_FILE === undefined || REGISTRY_AUTH_FILE === ''
      ? below(
          XDG_RUNTIME_DIR ?? '/run/containers/0',
          XDG_RUNTIME_DIR === undefined ? 'auth.json' : 'containers/auth.json',
        )
      : [REGISTRY_AUTH_FILE]),
    ...below(XDG_CONFIG_HOME ?? home('.config'), 'containers/auth.json'),
    ...below(DOCKER_CONFIG ?? home('.docker'), 'config.json'),
  ];
}

/** Keys of a repository in these files, most specific first: `quay.io/team/app`, `quay.io/team`, `quay.io`. */
export function keysOf(registry: string, repository: string): readonly string[] {
  const parts = repository.split('/');
  const paths = parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join('/')}`);
  return [...paths, registry];
}

type AskHelper = (name: string, server: string) => Promise<Credentials | undefined>;

async function lookUp(
  ask: AskHelper,
  document: Fields,
  keys: readonly string[],
  file: string,
): Promise<Credentials | undefined> {
  const registry = keys.at(-1) ?? '';
  const helpers = byServer(document['credHelpers'], `credHelpers of ${file}`);
  for (const key of keys) {
    const helper = helpers.get(key);
    if (helper !== undefined) return ask(textOf(helper, `credHelpers of ${file}`), serverOf(key));
  }
  const auths = byServer(document['auths'], `auths of ${file}`);
  for (const key of keys) {
    const entry = auths.get(key);
    const found = entry === undefined ? undefined : parseEntry(fieldsOf(entry, `auths of ${file}`), file);
    if (found !== undefined) return found;
  }
  const store = document['credsStore'];
  if (store === undefined || store === '') return undefined;
  return ask(textOf(store, `credsStore of ${file}`), serverOf(registry));
}

function byServer(value: unknown, what: string): ReadonlyMap<string, unknown> {
  const entries = Object.entries(fieldsOf(value ?? {}, what));
  return new Map(entries.map(([key, one]) => [normalize(key), one]));
}

/** Registry of a key: Docker writes registries as URLs, and its own under names of its own. */
function normalize(key: string): string {
  const host = /^https?:\/\//.test(key) ? key.replace(/^https?:\/\//, '').replace(/\/.*$/, '') : key;
  return /^(?:index|registry-1)\.docker\.io$/.test(host) ? 'docker.io' : host;
}

function serverOf(key: string): string {
  return key === 'docker.io' ? HUB : key;
}

function parseEntry(entry: Fields, file: string): Credentials | undefined {
  const { auth, identitytoken } = entry;
  if (typeof identitytoken === 'string' && identitytoken !== '') return { identityToken: identitytoken };
  // Docker leaves an empty entry behind for a login that is in a store of secrets.
  if (auth === undefined || auth === '') return undefined;
  const plain = Buffer.from(textOf(auth, `an auth of ${file}`), 'base64')
    .toString('utf8')
    .replace(/\0+$/, '');
  const colon = plain.indexOf(':');
  if (colon < 1) throw new OperationError(`an auth of ${file} is not the base64 of NAME:PASSWORD`);
  return { username: plain.slice(0, colon), password: plain.slice(colon + 1) };
}

async function askHelper(
  host: Host,
  name: string,
  server: string,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  if (!/^[\w.-]+$/.test(name)) throw new OperationError('a credential helper has an odd name');
  const program = `docker-credential-${name}`;
  // All variables, because helpers look for their own secrets where their user keeps them.
  const env = Object.fromEntries(
    Object.entries(host.environment).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
  const { status, stdout } = await host.run([program, 'get'], { stdin: server, env, signal });
  if (status !== 0 && /credentials not found/i.test(stdout)) return undefined;
  // The helper's output stays out of messages: it may hold a secret.
  if (status !== 0) {
    throw new OperationError(
      `${program} failed for ${server}${status === undefined ? '' : ` with status ${status}`}`,
      {
        hint: `try it by hand: echo ${server} | ${program} get`,
      },
    );
  }
  const { Username, Secret } = parseDocument(Buffer.from(stdout), `what ${program} wrote`);
  const username = textOf(Username, `Username of ${program}`);
  const password = textOf(Secret, `Secret of ${program}`);
  if (username === '<token>') return { identityToken: password };
  return username === '' && password === '' ? undefined : { username, password };
}
