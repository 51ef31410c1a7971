// "Did you mean": the nearest of a set of words, and where a misplaced key belongs.
import { documentShape, type Shape } from './generated/shape.ts';

/** Words of Docker, Compose and OCI that have another name here. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  build: 'rootfs',
  cap_add: 'process.capabilities.add',
  cap_drop: 'process.capabilities.drop',
  cmd: 'process.args',
  command: 'process.args',
  container_name: 'name',
  cpu: 'resources.cpus',
  entrypoint: 'process.args',
  environment: 'process.env',
  extra_hosts: 'dns.hosts',
  linux: 'namespaces, resources or security',
  mem_limit: 'resources.memory',
  networks: 'network',
  network_mode: 'network.mode',
  oom_score_adj: 'process.oomScoreAdj',
  pids_limit: 'resources.pids',
  read_only: 'rootfs.readonly',
  root: 'rootfs',
  stop_grace_period: 'process.stopTimeout',
  stop_signal: 'process.stopSignal',
  tmpfs: 'mounts, with type: tmpfs',
  tty: 'process.terminal',
  ulimits: 'process.rlimits',
  volumes: 'mounts',
  working_dir: 'process.cwd',
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
  const near = suggest(key, siblings);
  if (near !== undefined) return `did you mean ${near}?`;
  const other =
    (Object.hasOwn(OTHER_WORDS, key) ? OTHER_WORDS[key] : undefined) ?? findPlace(key, documentShape, '');
  if (other !== undefined) return `did you mean ${other}?`;
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
