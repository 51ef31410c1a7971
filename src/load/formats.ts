// Formats of the schema's scalars, by the name of their $defs entry, and the codes of the diagnostics. The schema's
// patterns are for editors; the messages come from here.
import { parseCidr, parseIp, parseIpv4, parseMac } from './addresses.ts';
import type { Parsed } from './describe.ts';
import { parseImageReference } from './image-reference.ts';
import { parseAddress6, parseCidr6 } from './ipv6.ts';
import { parseMount } from './mounts.ts';
import { parseCapability, parseSignal } from './names.ts';
import { parseAbsolutePath, parseHostPath } from './paths.ts';
import { parsePort } from './ports.ts';
import { suggest } from './suggest.ts';
import type { NamespaceMode } from './spec.ts';
import { parseDuration, parseMode, parseSize } from './units.ts';

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const RUNTIMES = ['auto', 'crun', 'runc', 'unshare'];

/** Checks of a scalar's text; a format that depends on the spec's folder is checked as if that were `/`. */
export const formats: Readonly<Record<string, (input: string) => Parsed<unknown>>> = {
  absolutePath: parseAbsolutePath,
  capability: parseCapability,
  cidr: parseCidr,
  cidr6: parseCidr6,
  cpuset: parseCpuset,
  duration: parseDuration,
  envName: (input) =>
    matching(input, /^[^=]+$/, 'is not the name of a variable', 'a name is not empty and holds no ='),
  hostname: parseHostname,
  hostsName: parseHostsName,
  image: (input) => parseImageReference(input, '/'),
  interfaceName: parseInterfaceName,
  ip: parseIp,
  ipv4: parseIpv4,
  ipv6: parseAddress6,
  mac: parseMac,
  mode: parseMode,
  mount: (input) => parseMount(input, '/'),
  name: parseName,
  namespace: parseNamespace,
  path: (input) => parseHostPath(input, '/'),
  pathList: (input) =>
    matching(
      input,
      /^default$/,
      'is neither default nor a list of paths',
      'write default, or a list as in [/proc/kcore]',
    ),
  port: parsePort,
  resolverOption: (input) =>
    matching(input, /^[\w:-]+$/, 'is not an option of resolv.conf', 'write it as in ndots:2'),
  runtime: (input) => parseRuntime(input, '/'),
  searchDomain: (input) => matching(input, /^[\w.-]+$/, 'is not a domain', 'write it as in example.org'),
  sha256: parseSha256,
  signal: parseSignal,
  size: parseSize,
  sysctlName: (input) =>
    matching(
      input,
      /^[a-z0-9_]+(\.[\w-]+)+$/,
      'is not the name of a sysctl',
      'write it with dots, as in net.core.somaxconn',
    ),
  user: parseUser,
};

const CODES: Readonly<Record<string, string>> = {
  absolutePath: 'bad-path',
  capability: 'unknown-capability',
  envName: 'bad-variable-name',
  hostsName: 'bad-hostname',
  interfaceName: 'bad-interface-name',
  ip: 'bad-address',
  cidr6: 'bad-cidr',
  ipv4: 'bad-address',
  ipv6: 'bad-address',
  pathList: 'bad-path-list',
  resolverOption: 'bad-resolver-option',
  searchDomain: 'bad-domain',
  signal: 'unknown-signal',
  sysctlName: 'bad-sysctl-name',
};

/** The code of the diagnostic for a value that is not in `format`. */
export function codeOf(format: string): string {
  return CODES[format] ?? `bad-${format}`;
}

export function parseName(input: string): Parsed<string> {
  return matching(
    input,
    NAME,
    'is not a container name',
    'use 1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last',
  );
}

export function parseHostname(input: string): Parsed<string> {
  const hint = 'use letters, digits and hyphens, with dots between the parts; 64 characters at most';
  if (input.length > 64) return { problem: 'is longer than 64 characters', hint };
  return matching(
    input,
    /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/,
    'is not a host name',
    hint,
  );
}

/** Name in /etc/hosts, with underscores as in Docker's --add-host and the services of Compose; DNS has them as well. */
function parseHostsName(input: string): Parsed<string> {
  return matching(
    input,
    /^\w([\w-]{0,61}\w)?(\.\w([\w-]{0,61}\w)?)*$/,
    'is not a host name',
    'use letters, digits, hyphens and underscores, with dots between the parts',
  );
}

/** IFNAMSIZ leaves 15 bytes; `lo` is in every network namespace already. */
export function parseInterfaceName(input: string): Parsed<string> {
  if (input === 'lo') return { problem: 'is the loopback interface', hint: 'use another name, as in eth0' };
  return matching(
    input,
    /^\w[\w.-]{0,14}$/,
    'is not the name of an interface',
    'use 1 to 15 letters, digits, _ . and -',
  );
}

export function parseNamespace(input: string): Parsed<NamespaceMode> {
  if (input === 'private' || input === 'host') return { value: { mode: input } };
  if (input.startsWith('container:') && NAME.test(input.slice('container:'.length))) {
    return { value: { mode: 'container', container: input.slice('container:'.length) } };
  }
  if (input.startsWith('/')) {
    const path = parseAbsolutePath(input);
    return 'value' in path ? { value: { mode: 'path', path: path.value } } : path;
  }
  const near = suggest(input, ['private', 'host']);
  const hint = 'write private, host, the absolute path of a namespace, or container:NAME';
  return { problem: 'is not a namespace', hint: near === undefined ? hint : `did you mean ${near}?` };
}

export function parseRuntime(input: string, baseDir: string): Parsed<string> {
  if (RUNTIMES.includes(input)) return { value: input };
  if (input.includes('/')) return parseHostPath(input, baseDir);
  const near = suggest(input, RUNTIMES);
  return {
    problem: 'is not a runtime',
    hint: near === undefined ? 'write auto, crun, runc or a path' : `did you mean ${near}?`,
  };
}

/** Kernel list format; the ranges go upwards. */
export function parseCpuset(input: string): Parsed<string> {
  const hint = 'write numbers and ranges with commas, as in "0-1,3"';
  if (!/^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$/.test(input))
    return { problem: 'is not a list of CPUs', hint };
  for (const part of input.split(',')) {
    const [first, last = first] = part.split('-').map(Number);
    if (first !== undefined && last !== undefined && first > last)
      return { problem: `has the range ${part}, which goes downwards`, hint };
  }
  return { value: input };
}

export function parseUser(input: string): Parsed<string> {
  const parsed = matching(
    input,
    /^[^:\s/]+(:[^:\s/]+)?$/,
    'is not a user',
    'write uid, uid:gid or names, in quotes, as in "101:101"',
  );
  if (!('value' in parsed)) return parsed;
  const tooLarge = input.split(':').some((part) => /^[0-9]+$/.test(part) && Number(part) > 4294967294);
  return tooLarge
    ? { problem: 'has a number above 4294967294', hint: 'user and group numbers have 32 bits' }
    : parsed;
}

export function parseSha256(input: string): Parsed<string> {
  const hint = input.startsWith('sha256:')
    ? 'leave out the leading sha256:'
    : 'write the 64 hex digits that sha256sum prints';
  const parsed = matching(input, /^[0-9A-Fa-f]{64}$/, 'is not a SHA-256', hint);
  return 'value' in parsed ? { value: parsed.value.toLowerCase() } : parsed;
}

function matching(input: string, pattern: RegExp, problem: string, hint: string): Parsed<string> {
  return pattern.test(input) ? { value: input } : { problem, hint };
}
