// apply: converge the host to the specs.
import type { ApplyOptions } from './carry-out.ts';
import { EXIT, type CommandContext } from './context.ts';
import { readAhead } from './read-ahead.ts';
import { requireRoot } from './require-root.ts';

export async function apply(
  context: CommandContext,
  args: readonly string[],
  options: ApplyOptions,
): Promise<number> {
  const ahead = context.isRoot ? await readAhead(context) : undefined;
  const { loadSpecs } = await import('./load-specs.ts');
  const loaded = await loadSpecs(context, args, { recall: true });
  await requireRoot(context);
  const pinned =
    options.locked === true ? await (await import('./lock.ts')).applyLocks(context, loaded) : loaded;
  const { convergeLocked } = await import('./converge-locked.ts');
  await convergeLocked(context, pinned, options, ahead);
  return EXIT.done;
}
