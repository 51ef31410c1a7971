// Warns of files, folders and DNS settings of a spec that have no effect because something is mounted over them.
import type { SpecPath } from '../errors.ts';
import type { Spec } from '../load/spec.ts';
import { isAtOrBelow, normalizePath } from '../oci/paths.ts';
import type { Problems } from './problems.ts';

/** Places where the OCI runtime mounts file systems of its own. */
const KERNEL_PLACES = ['/dev', '/proc', '/sys'];

/** Files that runspec generates, and the keys of the spec that say what is in them. */
const GENERATED: Readonly<Record<string, string>> = {
  '/etc/resolv.conf': 'dns.servers, dns.search and dns.options',
  '/etc/hosts': 'dns.hosts',
  '/etc/hostname': 'hostname',
};

export function checkHidden(spec: Spec, problems: Problems): void {
  spec.layers.forEach((layer, index) => {
    if (layer.kind === 'files') {
      for (const path of Object.keys(layer.files))
        warn(spec, problems, path, ['layers', index, 'files', path], 'the file');
    } else if (layer.kind === 'directory' && layer.destination !== '/') {
      warn(spec, problems, layer.destination, ['layers', index, 'destination'], 'the folder');
    }
  });
  checkDns(spec, problems);
}

function warn(spec: Spec, problems: Problems, asked: string, path: SpecPath, what: string): void {
  const place = normalizePath(asked);
  const cover = coverOf(spec, place);
  if (cover !== undefined)
    problems.warning('hidden', path, `${what} ${place} is hidden by ${cover.name}`, cover.hint);
}

function coverOf(spec: Spec, place: string): { readonly name: string; readonly hint: string } | undefined {
  // A new volume begins with what it covers, and so does not hide it.
  const mount = spec.mounts.find(
    ({ type, destination }) => type !== 'volume' && isAtOrBelow(place, destination),
  );
  if (mount !== undefined)
    return { name: `the mount on ${mount.destination}`, hint: 'put it into what is mounted there' };
  const kernel = KERNEL_PLACES.find((one) => isAtOrBelow(place, one));
  if (kernel !== undefined) return { name: `${kernel} of the container`, hint: 'put it somewhere else' };
  const word = GENERATED[place];
  return word === undefined ? undefined : { name: 'the one that runspec writes', hint: `say it in ${word}` };
}

function checkDns(spec: Spec, problems: Problems): void {
  const { servers, search, options, hosts } = spec.dns;
  const isAsked = (value: readonly string[] | undefined): boolean => value !== undefined && value.length > 0;
  const asked: readonly (readonly [string, string, boolean])[] = [
    ['servers', '/etc/resolv.conf', isAsked(servers)],
    ['search', '/etc/resolv.conf', isAsked(search)],
    ['options', '/etc/resolv.conf', isAsked(options)],
    ['hosts', '/etc/hosts', Object.keys(hosts).length > 0],
  ];
  for (const [key, file, isThere] of asked) {
    const mount = spec.mounts.find(({ destination }) => isAtOrBelow(file, destination));
    if (!isThere || mount === undefined) continue;
    problems.warning(
      'hidden',
      ['dns', key],
      `dns.${key} has no effect: ${file} is hidden by the mount on ${mount.destination}`,
      'say it in the file that is mounted, or leave it out',
    );
  }
}
