// Paths of the host and of the container, by their text alone: nothing is looked up.
import { posix } from 'node:path';
import type { Parsed } from './describe.ts';

/** A path of the host; relative ones start at the folder of the spec. */
export function parseHostPath(input: string, baseDir: string): Parsed<string> {
  if (input === '')
    return { problem: 'is not a path', hint: 'write a path, relative to the spec file or absolute' };
  if (input === '~' || input.startsWith('~/')) {
    return {
      problem: 'starts with ~, which is not expanded',
      hint: 'write the folder out, or a path relative to the spec file',
    };
  }
  const path = posix.resolve(baseDir, input);
  return { value: path };
}

/** An absolute path of the host. */
export function parseAbsolutePath(input: string): Parsed<string> {
  if (!input.startsWith('/')) return { problem: 'is not an absolute path', hint: 'start it with /' };
  return { value: stripSlash(posix.normalize(input)) };
}

/** An absolute path in the container, without `..`, which a symlink could make mean another place. */
export function parseContainerPath(input: string): Parsed<string> {
  if (!input.startsWith('/'))
    return { problem: 'is not an absolute path', hint: 'start it with /, the root of the container' };
  if (input.split('/').includes('..'))
    return {
      problem: 'contains ".."',
      hint: 'write the path without it: a symlink could make it mean another place',
    };
  return { value: stripSlash(posix.normalize(input)) };
}

/** Path in the container on which something may be mounted. */
export function parseDestination(input: string): Parsed<string> {
  const parsed = parseContainerPath(input);
  if (!('value' in parsed)) return parsed;
  if (parsed.value === '/')
    return { problem: 'is the root itself', hint: 'use rootfs for the root, or mount below it' };
  if (parsed.value === '/proc' || parsed.value.startsWith('/proc/')) {
    return {
      problem: 'is in /proc, where OCI runtimes refuse mounts',
      hint: 'mount it somewhere else; security.maskedPaths and readonlyPaths change what is seen of /proc',
    };
  }
  return parsed;
}

/** A path of the host, or an http(s) URL. */
export function parseLocation(input: string, baseDir: string): Parsed<string> {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(input)?.[1]?.toLowerCase();
  if (scheme === undefined) return parseHostPath(input, baseDir);
  if (scheme !== 'http' && scheme !== 'https') {
    return { problem: `has the scheme ${scheme}`, hint: 'write a path or an http or https URL' };
  }
  if (!URL.canParse(input) || /\s/.test(input))
    return { problem: 'is not a URL', hint: 'write it as in https://example.org/rootfs.tar.gz' };
  return { value: new URL(input).href };
}

function stripSlash(path: string): string {
  return path.length > 1 && path.endsWith('/')
    ? path.slice(0, -1)
    : path.startsWith('//')
      ? path.slice(1)
      : path;
}
