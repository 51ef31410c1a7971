// gc: removes what is on the host without a record that tells of it. Live containers, persistent data and
// other people's things stay; layers are `image gc`'s.
import { printable } from '../load/render-diagnostic.ts';
import { collect, survey, type Collected } from '../run/collect.ts';
import { withLock } from '../run/lock.ts';
import { openSession, type Session } from '../run/session.ts';
import { removeAllStaleWork } from '../run/stale-work.ts';
import { requireRoot } from './require-root.ts';
import { EXIT, type CommandContext } from './context.ts';
import { joinFailures } from './join-failures.ts';
import { createReporter, describe } from './reporter.ts';
import { mendShared, setAsideUnreadable } from './take-down.ts';

interface Summary {
  /** Objects that bear the name of a container but are in no record of it; shared ones have no container. */
  readonly objects: readonly { readonly container: string | null; readonly object: string }[];
  readonly left: readonly { readonly container: string; readonly reason: string }[];
  /** Containers whose apply was cut short: to be applied again, or taken down. */
  readonly unfinished: readonly string[];
}

export async function gc(context: CommandContext, { dryRun }: { readonly dryRun: boolean }): Promise<number> {
  await requireRoot(context);
  // With --json stdout has one document, and the steps, which are for people, are not shown.
  const report = createReporter({ ...context, json: false, quiet: context.quiet || context.json });
  await withLock(context.host, context.dataDir, context.lockTimeout, async () => {
    const session = await openSession(context);
    if (!dryRun) {
      await removeAllStaleWork(context.host, context.dataDir);
      await mendShared(session, report);
      for (const name of await session.records.names()) await setAsideUnreadable(session, name, report);
    }
    const collected = dryRun ? await survey(session) : await collect(session, report);
    const [failure, ...others] = collected.failures;
    if (failure !== undefined)
      throw joinFailures([failure, ...others], `${others.length + 1} things could not be removed`);
    const summary = await summarize(session, collected);
    if (context.json) context.stdout(`${JSON.stringify({ ...summary, dryRun }, undefined, 2)}\n`);
    else if (!context.quiet) show(context, summary, dryRun);
  });
  return EXIT.done;
}

async function summarize({ records }: Session, { remains, unused }: Collected): Promise<Summary> {
  const unfinished: string[] = [];
  for (const name of await records.names())
    if ((await records.look(name)).record?.pending !== undefined) unfinished.push(name);
  const own = remains.filter(({ left }) => left === undefined);
  return {
    objects: [
      ...own.flatMap(({ name, steps }) => steps.map((step) => ({ container: name, object: describe(step) }))),
      ...unused.map((step) => ({ container: null, object: describe(step) })),
    ],
    left: remains.flatMap(({ name, left }) =>
      left === undefined ? [] : [{ container: name, reason: left }],
    ),
    unfinished,
  };
}

function show(context: CommandContext, { objects, left, unfinished }: Summary, dryRun: boolean): void {
  if (dryRun)
    for (const { container, object } of objects)
      context.stdout(`- ${container === null ? '' : `${container}  `}${printable(object)}\n`);
  for (const { container, reason } of left)
    context.stderr(`= ${container}  left alone: ${printable(reason)}`);
  for (const name of unfinished)
    context.stderr(`  ${name}  its apply was cut short: apply it again, or take it down`);
  if (objects.length === 0) context.stderr('nothing is left behind');
}
