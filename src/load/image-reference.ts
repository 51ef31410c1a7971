// References to container images, by their text alone: transports and words are skopeo's, the grammar of
// registry references is that of the distribution project.
import type { Parsed } from './describe.ts';
import { parseHostPath } from './paths.ts';

export type ImageReference =
  | {
      readonly transport: 'oci' | 'docker-archive';
      /** Absolute path. */
      readonly path: string;
      /** `org.opencontainers.image.ref.name` of a layout, NAME:TAG of an archive. */
      readonly name?: string;
    }
  | { readonly transport: 'dir'; readonly path: string }
  | RegistryReference;

export interface RegistryReference {
  readonly transport: 'docker';
  /** HOST[:PORT]; `docker.io` is Docker Hub. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  /** `sha256:` and 64 hex digits, or `sha512:` and 128. */
  readonly digest?: string;
}

const HINT = 'write oci:PATH[:TAG], docker-archive:PATH, dir:PATH or docker://REGISTRY/REPOSITORY[:TAG]';
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?';
const REGISTRY = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9A-Fa-f:]+\\])(?::[0-9]{1,5})?$`);
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether a text is a digest, checked before it becomes part of a path or URL: `sha256:../..` is none. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** Parses a reference in which a relative path starts at `baseDir`. */
export function parseImageReference(input: string, baseDir: string): Parsed<ImageReference> {
  if (input.startsWith('docker://')) return parseRegistryReference(input.slice('docker://'.length));
  const match = /^(oci|docker-archive|dir):([^:]+)(?::(.+))?$/s.exec(input);
  const [, transport, text = '', name] = match ?? [];
  if (transport !== 'oci' && transport !== 'docker-archive' && transport !== 'dir') {
    const bare = /^[a-z0-9][a-z0-9./_-]*(:[\w.-]+)?(@sha256:[0-9a-f]+)?$/.test(input);
    return refuse(bare ? `did you mean docker://${input}?` : HINT);
  }
  const path = parseHostPath(text, baseDir);
  if ('problem' in path) return path;
  if (transport === 'dir')
    return name === undefined ? { value: { transport, path: path.value } } : refuse('write dir:PATH');
  return { value: { transport, path: path.value, ...(name === undefined ? {} : { name }) } };
}

function parseRegistryReference(input: string): Parsed<RegistryReference> {
  const [, rest = '', tag, digest] = /^(.*?)(?::([^:/@]*))?(?:@(.*))?$/s.exec(input) ?? [];
  if (rest === '') return refuse(HINT);
  if (digest !== undefined && !isDigest(digest)) {
    return {
      problem: `has ${digest === '' ? 'an empty digest' : `${digest.slice(0, 40)}, which is not a digest`}`,
      hint: 'write sha256: and the 64 lower-case hex digits that skopeo inspect prints',
    };
  }
  if (tag !== undefined && !/^\w[\w.-]{0,127}$/.test(tag))
    return { problem: 'has a malformed tag', hint: 'a tag is 1 to 128 letters, digits, _ . and -' };
  const slash = rest.indexOf('/');
  const first = slash === -1 ? '' : rest.slice(0, slash);
  // Registry and repository are told apart as by Docker: without a dot, a port or a capital, `team/app` is a repository
  // of Docker Hub.
  const isHost = first === 'localhost' || /[.:A-Z]/.test(first);
  if (isHost && !isRegistry(first))
    return {
      problem: `has ${first}, which is not a registry`,
      hint: 'write HOST or HOST:PORT before the first /',
    };
  const registry = isHost && !/^(?:index\.)?docker\.io$/.test(first) ? first : 'docker.io';
  const name = isHost ? rest.slice(slash + 1) : rest;
  const repository = registry === 'docker.io' && !name.includes('/') ? `library/${name}` : name;
  if (!REPOSITORY.test(repository)) {
    return {
      problem: `has ${name === '' ? 'no repository' : `${name}, which is not a repository`}`,
      hint: 'a repository is lower-case letters and digits, with . _ - and / between them',
    };
  }
  const chosen = tag ?? (digest === undefined ? 'latest' : undefined);
  return {
    value: {
      transport: 'docker',
      registry,
      repository,
      ...(chosen === undefined ? {} : { tag: chosen }),
      ...(digest === undefined ? {} : { digest }),
    },
  };
}

function isRegistry(text: string): boolean {
  const port = /:(\d+)$/.exec(text)?.[1];
  return REGISTRY.test(text) && (port === undefined || (Number(port) > 0 && Number(port) < 65_536));
}

/** Reference in full, as in `docker://docker.io/library/alpine:latest`. */
export function formatImageReference(reference: ImageReference): string {
  switch (reference.transport) {
    case 'dir':
      return `dir:${reference.path}`;
    case 'oci':
    case 'docker-archive':
      return `${reference.transport}:${reference.path}${reference.name === undefined ? '' : `:${reference.name}`}`;
    case 'docker': {
      const { registry, repository, tag, digest } = reference;
      const suffix = `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
      return `docker://${registry}/${repository}${suffix}`;
    }
  }
}

function refuse(hint: string): { readonly problem: string; readonly hint: string } {
  return { problem: 'is not an image', hint };
}
