// What a `run` has made itself of what is kept, a volume or a persistent layer: when its process cannot start, that goes
// again, as in an apply that fails. Where anything in it has changed since, somebody's data may be in it, and it stays.
import { identityOfTree } from '../image/tree-key.ts';
import type { Change } from './changes.ts';
import { removeKeptThings, volumesOfOthers } from './kept-data.ts';
import type { Session } from './session.ts';

type Places = Pick<Session, 'archives' | 'dataDir' | 'signal'>;

/** A thing as it was before the process could write to it. */
export interface Made {
  readonly path: string;
  readonly identity: string;
}

/** @param changes of the container, now that they are carried out. */
export async function lookAtMade(
  places: Places,
  container: string,
  changes: readonly Change[],
): Promise<readonly Made[]> {
  const { dataDir } = places;
  const paths = changes.flatMap(({ step, wasAbsent }) =>
    step.op === 'directory' && step.removal === 'volume' && wasAbsent === true ? [step.path] : [],
  );
  const things = paths.filter(
    (path) => path.startsWith(`${dataDir}/volumes/`) || path === layerOf(places, container),
  );
  return Promise.all(
    things.map(async (path) => ({ path, identity: await identify(places, container, path) })),
  );
}

/** To be called under the lock, when the container is down. @returns what was removed, for people. */
export async function removeUntouched(
  session: Session,
  container: string,
  made: readonly Made[],
): Promise<readonly string[]> {
  const { host, dataDir } = session;
  const others = made.length === 0 ? new Set<string>() : await volumesOfOthers(session, container);
  const untouched: string[] = [];
  for (const { path, identity } of made) {
    if (path !== layerOf(session, container) && others.has(path.slice(`${dataDir}/volumes/`.length)))
      continue;
    if ((await host.status(path)) === undefined) continue;
    if ((await identify(session, container, path)) === identity) untouched.push(path);
  }
  return removeKeptThings(session, container, untouched);
}

/** Of a layer, what is in it: its work folder is the kernel's. */
async function identify(places: Places, container: string, path: string): Promise<string> {
  const folder = path === layerOf(places, container) ? `${path}/upper` : path;
  return identityOfTree(await places.archives.walk(folder, places.signal));
}

function layerOf({ dataDir }: Places, container: string): string {
  return `${dataDir}/writable/${container}`;
}
