// Volumes that belong to nobody, because a kill ended the apply that made them.
import type { Host } from '../host/host.ts';
import type { DirectoryStep, FileStep } from '../plan/plan.ts';
import { volumesOfOthers } from './kept-data.ts';
import type { Session } from './session.ts';

/** The name of a volume note that a kill kept from being renamed into its place. */
const UNFINISHED = /^\.\.[^.]+\.runspec-new$/;

/**
 * Steps that remove volumes of which neither a note nor a record tells, and which are empty or were begun by an apply
 * whose record is lost; and what such an apply left beside them.
 */
export async function findUnclaimedVolumes(session: Session): Promise<readonly (DirectoryStep | FileStep)[]> {
  const { host, dataDir, records } = session;
  const folder = `${dataDir}/volumes`;
  const names = (await host.list(folder)) ?? [];
  if (names.length === 0) return [];
  const [claimed, known] = await Promise.all([volumesOfOthers(session, ''), records.names()]);
  const lost = names.filter((name) => {
    const [, container] = /^\.([^.]+)\.new$/.exec(name) ?? [];
    return container !== undefined && !known.includes(container);
  });
  const unfinished = names.filter((name) => UNFINISHED.test(name));
  const begun = (await Promise.all(lost.map((name) => host.list(`${folder}/${name}`)))).flatMap(
    (one) => one ?? [],
  );
  const unclaimed = names.filter((name) => !name.startsWith('.') && !claimed.has(name));
  const areEmpty = await Promise.all(unclaimed.map((name) => isEmptyFolder(host, `${folder}/${name}`)));
  const going = unclaimed.filter((name, index) => areEmpty[index] === true || begun.includes(name));
  const step = (
    id: string,
    path: string,
    removal: DirectoryStep['removal'],
    needs: readonly string[],
  ): DirectoryStep => ({ id, op: 'directory', path, mode: 0o700, removal, needs, after: [], shared: true });
  const below = (id: string, name: string): DirectoryStep =>
    step(id, `${folder}/${name}`, begun.includes(name) || lost.includes(name) ? 'tree' : 'empty', [
      'dir:volumes',
    ]);
  return [
    ...(going.length + lost.length + unfinished.length === names.length
      ? [step('dir:volumes', folder, 'empty', [])]
      : []),
    ...lost.map((name) => below(`beginnings:${name}`, name)),
    ...unfinished.map((name) => noteStep(`${folder}/${name}`)),
    ...going.map((name) => below(`volume:${name}`, name)),
  ];
}

function noteStep(path: string): FileStep {
  const edges = { needs: ['dir:volumes'], after: [], shared: true } as const;
  return { id: `file:${path}`, op: 'file', path, text: '', mode: 0o600, inPlace: false, ...edges };
}

async function isEmptyFolder(host: Host, path: string): Promise<boolean> {
  return (await host.status(path))?.type === 'directory' && (await host.list(path))?.length === 0;
}
