// Why namespaces of another container cannot be joined: mostly its process has ended, and its last words tell why.
// Reads only.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { readLinkOrNothing } from '../host/proc-files.ts';
import { containerFolder, GROWING_FILES } from '../plan/container-folder.ts';
import { describeEnd, readContainerState } from './container-state.ts';
import { createLogParser, createTail } from './log-lines.ts';
import { readConfig } from './read-config.ts';
import { readLogEnd } from './read-log.ts';
import { readProcessFile } from './process-file.ts';

/** Lines of a process that has ended which an error shows at most. */
const SHOWN = 10;

export interface Joining {
  readonly host: Host;
  readonly dataDir: string;
  /** Containers that the same call applies. */
  readonly together?: readonly string[] | undefined;
}

/** @param type OCI's type of the namespace. */
export async function unjoinable(
  { host, dataDir, together }: Joining,
  type: string,
  container: string,
): Promise<OperationError> {
  const path = ['namespaces', type];
  const what = `the ${type} namespace of ${container} cannot be joined`;
  const folder = containerFolder(dataDir, container);
  const state = await readContainerState(host, folder);
  if (state.status !== 'exited')
    return new OperationError(`${what}: ${container} does not run`, {
      path,
      hint: `apply ${container} first; see: runspec ps`,
    });
  const end = describeEnd(state);
  if (together?.includes(container) !== true)
    return new OperationError(`${what}: ${container} has ${end}`, {
      path,
      hint: `see what it wrote: runspec logs ${container}; once it runs again, apply this one`,
    });
  // Its log goes with it when the call is undone.
  return new OperationError(`${what}: ${container}, applied by this same call, has ${end}`, {
    path,
    output: lastLines(await readLogEnd(host, `${folder}/${GROWING_FILES.log}`), state.startedAt),
    hint: `a namespace can be joined while its process runs: mend what ends ${container}`,
  });
}

/** The same failure of a start, or why when a process whose namespaces were to be joined has ended meanwhile. */
export async function nameEnded(joining: Joining, bundle: string, error: unknown): Promise<unknown> {
  const { host } = joining;
  if (!(error instanceof OperationError)) return error;
  for (const { type, path = '' } of (await readConfig(host, bundle))?.linux.namespaces ?? []) {
    const pid = /^\/proc\/(\d+)\/ns\//.exec(path)?.[1];
    // A zombie has a folder in /proc still, and no namespaces.
    if (pid === undefined || (await readLinkOrNothing(host, path)) !== undefined) continue;
    const container = await containerOf(joining, Number(pid));
    if (container !== undefined) return (await unjoinable(joining, type, container)).with({ cause: error });
  }
  return error;
}

async function containerOf({ host, dataDir }: Joining, pid: number): Promise<string | undefined> {
  for (const name of (await host.list(containerFolder(dataDir, ''))) ?? [])
    if ((await readProcessFile(host, containerFolder(dataDir, name)))?.init.pid === pid) return name;
  return undefined;
}

/** A log goes on from one start of a container to the next. */
function lastLines(log: string, startedAt: number): readonly string[] {
  const tail = createTail(SHOWN);
  for (const piece of createLogParser().push(log)) if (Date.parse(piece.time) >= startedAt) tail.push(piece);
  const text = tail.pieces().map((piece) => (piece.ends ? `${piece.text}\n` : piece.text));
  return text.length === 0 ? [] : text.join('').trimEnd().split('\n');
}
