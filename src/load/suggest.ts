// "Did you mean": the nearest of a set of words, and where a misplaced key belongs.
import { documentShape, type Shape } from './generated/shape.ts';

/** Words of Docker, Compose and OCI that have another name here, when none of our own is meant. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  build: 'rootfs',
  cap_add: 'process.capabilities.add',
  cap_drop: 'process.capabilities.drop',
  cmd: 'process.args',
  command: 'process.args',
  container_name: 'name',
  cpu: 'resources.cpus',
  cpu_shares: 'resources.cpuWeight',
  deploy: 'resources',
  dns_opt: 'dns.options',
  dns_search: 'dns.search',
  entrypoint: 'process.args',
  environment: 'process.env',
  extra_hosts: 'dns.hosts',
  group_add: 'process.additionalGids',
  linux: 'namespaces, resources or security',
  mac_address: 'network.mac',
  mem: 'resources.memory',
  mem_limit: 'resources.memory',
  memswap_limit: 'resources.swap, which counts on top of memory',
  networks: 'network',
  network_mode: 'network.mode',
  oom_score_adj: 'process.oomScoreAdj',
  pids_limit: 'resources.pids',
  read_only: 'rootfs.readonly',
  root: 'rootfs',
  stop_grace_period: 'process.stopTimeout',
  security_opt: 'security',
  shm_size: 'mounts, with a tmpfs on /dev/shm',
  stop_signal: 'process.stopSignal',
  tmpfs: 'mounts, with type: tmpfs',
  tty: 'process.terminal',
  ulimits: 'process.rlimits',
  volumes: 'mounts',
  working_dir: 'process.cwd',
};

/** Words of the long forms of Compose and of /proc/PID/ns, by a key that stands beside them here. */
const BESIDE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  containerPort: { target: 'containerPort', published: 'hostPort' },
  destination: { target: 'destination' },
  uts: { net: 'network', mnt: 'mount' },
  args: { workdir: 'cwd', workingDir: 'cwd' },
};

const NO_USER_NAMESPACES = 'remove it: there are no user namespaces here';

/** Words that stand for nothing beside such a key, though they mean something elsewhere. */
const NOT_BESIDE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  uts: { user: NO_USER_NAMESPACES, time: 'remove it: there are no time namespaces here' },
};

/** Words of Docker, Compose and OCI that stand for nothing here, and what to do instead. */
const NO_WORDS: Readonly<Record<string, string>> = {
  depends_on:
    'put both containers into one call of apply; a container that joins a namespace of another starts after it',
  domainname: 'set sysctls: { kernel.domainname: … }',
  env_file: 'write the variables into process.env',
  expose:
    'remove it: containers of one bridge reach all ports of each other; network.ports publishes one on the host',
  healthcheck: 'remove it: runspec looks after no process; ask the service itself, or use runspec exec',
  init: 'remove it: the process is number 1 in its pid namespace; put a small init into process.args if it needs one',
  labels: 'remove it: containers are told apart by their name alone',
  links: 'give the other container a network.address, and its name in dns.hosts',
  logging: 'remove it: runspec logs shows what the process wrote',
  ociVersion:
    'this is the configuration of an OCI runtime: a spec starts with `runspec: 1`; `runspec schema` prints the language',
  privileged: 'ask for what it needs: process.capabilities, devices, security',
  restart: 'remove it: there is no daemon to restart a process; runspec apply starts one that has ended',
  services:
    'this is a Compose file: write a spec for each service, one a document; `runspec schema` prints the language',
  stdin_open: 'remove it: runspec run passes standard input on',
  userns_mode: NO_USER_NAMESPACES,
  version: 'write `runspec: 1`',
};

/** The candidate nearest to `word`, when one is near enough to be meant. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = simplify(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = distanceBetween(wanted, simplify(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** A hint for an unknown key: the key that was meant here, or the place where it belongs. */
export function hintForKey(key: string, siblings: readonly string[]): string {
  const known = (words: Readonly<Record<string, string>>): string | undefined =>
    Object.hasOwn(words, key) ? words[key] : undefined;
  const instead =
    siblings.map((sibling) => NOT_BESIDE[sibling]?.[key]).find((word) => word !== undefined) ??
    known(NO_WORDS);
  if (instead !== undefined) return instead;
  const beside = siblings.map((sibling) => BESIDE[sibling]?.[key]).find((word) => word !== undefined);
  const meant = beside ?? suggest(key, siblings) ?? known(OTHER_WORDS) ?? findPlace(key, documentShape, '');
  if (meant !== undefined) return `did you mean ${meant}?`;
  return `known keys: ${siblings.join(', ')}`;
}

function findPlace(key: string, shape: Shape, place: string): string | undefined {
  const keys = Object.entries(shape.keys ?? {});
  const below = (name: string): string => (place === '' ? name : `${place}.${name}`);
  if (shape.keys !== undefined && Object.hasOwn(shape.keys, key)) return below(key);
  for (const [name, child] of keys) {
    const found = findPlace(key, child, below(name));
    if (found !== undefined) return found;
  }
  return shape.items === undefined ? undefined : findPlace(key, shape.items, `${place}[]`);
}

function simplify(word: string): string {
  return word.toLowerCase().replaceAll(/[_-]|^(?:cap_|sig|rlimit_)/g, '');
}

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. */
function distanceBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3 || a.length > 64) return Number.POSITIVE_INFINITY;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, (before[column - 2] ?? 0) + 1);
      }
      current.push(cost);
    }
    [before, previous] = [previous, current];
  }
  return previous[b.length] ?? 0;
}
