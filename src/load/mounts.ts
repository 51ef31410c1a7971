// Mounts: the short form, and the names of volumes.
import type { Parsed } from './describe.ts';
import { parseDestination, parseHostPath } from './paths.ts';
import type { MountSpec } from './spec.ts';

/**
 * `SOURCE:DESTINATION[:ro|rw]` as in Compose: a source with a slash, or with a leading dot or ~, is a path, any other a
 * volume.
 */
export function parseMount(input: string, baseDir: string): Parsed<MountSpec> {
  const [source = '', target, options = 'rw', ...rest] = input.split(':');
  if (target === undefined || rest.length > 0 || source === '') {
    return {
      problem: 'is not a mount',
      hint: 'write "SOURCE:DESTINATION" or "SOURCE:DESTINATION:ro", or an object with type, source and destination',
    };
  }
  const destination = parseDestination(target);
  if (!('value' in destination)) {
    return {
      problem: `has the destination ${JSON.stringify(target)}, which ${destination.problem}`,
      hint: destination.hint,
    };
  }
  if (options !== 'ro' && options !== 'rw') {
    return { problem: `has the option ${JSON.stringify(options)}`, hint: 'the short form knows ro and rw' };
  }
  const common = { destination: destination.value, readOnly: options === 'ro' };
  if (source.includes('/') || source.startsWith('.') || source.startsWith('~')) {
    const path = parseHostPath(source, baseDir);
    return 'value' in path ? { value: { type: 'bind', source: path.value, ...common } } : path;
  }
  const volume = parseVolumeName(source);
  return 'value' in volume ? { value: { type: 'volume', source: volume.value, ...common } } : volume;
}

/** Name of a volume, which becomes a folder's name. */
export function parseVolumeName(input: string): Parsed<string> {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(input)) return { value: input };
  const hint = input.includes('/')
    ? 'a folder of the host is mounted with type: bind'
    : 'use letters, digits, _ . and -, 64 characters at most';
  return { problem: 'is not the name of a volume', hint };
}
