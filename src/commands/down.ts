// down: reverse what was applied, by what the records say; the spec may be edited, renamed or gone.
import { posix } from 'node:path';
import { OperationError, UsageError } from '../errors.ts';
import { readSources } from '../load/read-sources.ts';
import { isAbandoned } from '../run/foreground.ts';
import { listOwners } from '../run/kept-data.ts';
import { withLock } from '../run/lock.ts';
import { isName, recordedSteps } from '../run/records.ts';
import { openSession, type Session } from '../run/session.ts';
import { removeAllStaleWork } from '../run/stale-work.ts';
import { readContainerState } from '../runtime/container-state.ts';
import { containerFolder } from '../plan/container-folder.ts';
import { requireRoot } from './require-root.ts';
import { EXIT, type CommandContext } from './context.ts';
import { joinFailures } from './join-failures.ts';
import { createReporter } from './reporter.ts';
import { mendShared, removeKept, removeUnusedShared, takeDown } from './take-down.ts';

export interface DownOptions {
  readonly all: boolean;
  readonly volumes: boolean;
  /** Compare the host with what it was before `apply --prove`. */
  readonly prove: boolean;
  /** Only containers whose `run` was killed. */
  readonly abandoned: boolean;
}

export async function down(
  context: CommandContext,
  args: readonly string[],
  options: DownOptions,
): Promise<number> {
  if (args.length === 0 && !options.all)
    throw new UsageError('nothing to take down', 'give names or specs, or --all');
  if (args.length > 0 && options.all)
    throw new UsageError(`--all and ${args.join(', ')} are given`, 'give names and specs, or --all alone');
  await requireRoot(context);
  const report = createReporter(context);
  return withLock(context.host, context.dataDir, context.lockTimeout, async () => {
    await removeAllStaleWork(context.host, context.dataDir);
    const session = await openSession(context);
    await mendShared(session, report);
    // The kernel is read while processes end.
    session.view.warmUp({ sockets: false, foreignRules: false });
    const known = await session.records.names();
    const asked = options.all ? known : await findNames(context, session, known, args);
    const names = options.abandoned ? await findAbandoned(context, asked) : asked;
    const proofs = options.prove ? await import('./prove.ts') : undefined;
    const evidence = await proofs?.collectEvidence(session, names);
    // Containers that are down already can only have kept data, which --all --volumes removes as well.
    const takesAll = options.all && options.volumes && !options.abandoned;
    const owners = takesAll ? (await listOwners(session)).filter((name) => !known.includes(name)) : [];
    const together = [...names, ...owners];
    const joiners = await findJoiners(session, known);
    // An abandoned container is taken down even if others have joined its namespaces.
    if (!options.abandoned) await refuseJoined(session, names, joiners);
    if (names.length > 1) context.host.stopOptimizing();
    const running = new Map<string, Promise<boolean>>();
    const start = (name: string, waiting: readonly string[] = []): Promise<boolean> => {
      const known = running.get(name);
      if (known !== undefined) return known;
      // A namespace cannot go before those that joined it.
      const first = (joiners.get(name) ?? []).filter((one) => names.includes(one) && !waiting.includes(one));
      const before = Promise.allSettled(first.map((one) => start(one, [...waiting, name])));
      const task = before.then(() =>
        takeDown(context, session, name, report, { volumes: options.volumes, together }),
      );
      running.set(name, task);
      return task;
    };
    const results = await Promise.allSettled(names.map((name) => start(name)));
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as Error] : [],
    );
    const hadRemains = results.some((result) => result.status === 'fulfilled' && result.value);
    // With no record left, shared things may be all that remains.
    if (hadRemains || (options.all && known.length === 0))
      failures.push(...(await removeUnusedShared(session, report)));
    for (const owner of owners) await removeKept(context, session, owner, report, together);
    // A killed apply may have made the folder of the records, and no more.
    if (names.length === 0) await session.records.tidy();
    const [failure, ...others] = failures;
    if (failure === undefined) {
      if (evidence !== undefined) await proofs?.proveAll(context, session, evidence);
      return EXIT.done;
    }
    throw joinFailures([failure, ...others], `${failures.length} of ${names.length} containers are not down`);
  });
}

async function findAbandoned(
  { host, dataDir }: CommandContext,
  names: readonly string[],
): Promise<readonly string[]> {
  const abandoned = await Promise.all(names.map((name) => isAbandoned(host, dataDir, name)));
  return names.filter((_, index) => abandoned[index]);
}

/** Names of the containers that joined namespaces of each container. */
async function findJoiners(
  session: Session,
  names: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const joiners = new Map<string, string[]>();
  for (const name of names) {
    const { record } = await session.records.look(name);
    for (const step of record === undefined ? [] : recordedSteps(record)) {
      if (step.op !== 'bundle') continue;
      for (const { container } of step.join) {
        const others = joiners.get(container) ?? [];
        if (!others.includes(name)) joiners.set(container, [...others, name]);
      }
    }
  }
  return joiners;
}

/** Refuses to take away namespaces that a running container has joined: its process would end, or have no network. */
async function refuseJoined(
  { host, dataDir }: Session,
  names: readonly string[],
  joiners: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  for (const name of names) {
    for (const joiner of joiners.get(name) ?? []) {
      if (names.includes(joiner)) continue;
      const { status } = await readContainerState(host, containerFolder(dataDir, joiner));
      if (status !== 'running') continue;
      throw new OperationError(`${joiner} runs in namespaces of ${name}`, {
        hint: `take it down as well: runspec down ${joiner} ${name}`,
      });
    }
  }
}

/**
 * Names of the containers that the arguments stand for. A container's name goes before a file of the same name. A file,
 * or a folder of them, stands for the containers applied from it, whatever it says by now, and for those it names.
 */
async function findNames(
  context: CommandContext,
  session: Session,
  known: readonly string[],
  args: readonly string[],
): Promise<readonly string[]> {
  const files = await readSpecFiles(session, args.every((arg) => known.includes(arg)) ? [] : known);
  const names = await Promise.all(
    args.map(async (arg): Promise<readonly string[]> => {
      if (known.includes(arg)) return [arg];
      const path = posix.resolve(context.workingDirectory, arg);
      const isPath = arg === '-' || (await context.host.realPath(path)) !== undefined;
      const applied = known.filter((name) => [files.get(name), folderOf(files.get(name))].includes(path));
      if (!isPath && applied.length > 0) return applied;
      if (!isPath) {
        if (isName(arg)) return [arg];
        throw new UsageError(
          `${arg} is neither a container nor a file`,
          known.length === 0 ? 'no container is up' : `up are: ${known.join(', ')}`,
        );
      }
      const { load } = await import('../load/load.ts');
      const { specs } = load(await readSources(context.host, [arg], context, context.workingDirectory));
      const named = specs.map((one) => one.spec.name);
      if (named.length === 0 && applied.length === 0)
        throw new UsageError(
          `${arg} has no valid spec to take a name from`,
          'give the name of the container; see: runspec ps',
        );
      return [...applied, ...named];
    }),
  );
  return [...new Set(names.flat())];
}

/** Absolute paths of the files that containers were applied from, by their names. */
async function readSpecFiles(
  { records }: Session,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.all(
    names.map(async (name) => {
      const file = (await records.look(name)).record?.specFile;
      // A later pipe has the same path with another text.
      return file === undefined || /^\/(?:dev|proc)\//.test(file) ? [] : [[name, file] as const];
    }),
  );
  return new Map(found.flat());
}

function folderOf(file: string | undefined): string | undefined {
  return file === undefined ? undefined : posix.dirname(file);
}
