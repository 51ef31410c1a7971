// Tells, before an apply changes anything, what it does to other containers, and which of its own were applied from
// another file until now.
import { STDIN } from '../load/read-sources.ts';
import { printable } from '../load/render-diagnostic.ts';
import type { HostFacts } from '../plan/facts.ts';
import type { Change } from '../run/changes.ts';
import type { CommandContext } from './context.ts';

/** A container of the call; `specFile` is where it is applied from now, an absolute path. */
interface Called {
  readonly name: string;
  readonly changes: readonly Change[];
  readonly specFile: string;
}

export function tellSideEffects(
  { quiet, stderr }: CommandContext,
  { containers }: Pick<HostFacts, 'containers'>,
  called: readonly Called[],
): void {
  if (quiet) return;
  for (const { name, changes, specFile } of called) {
    const former = containers[name]?.specFile;
    const isElsewhere = former !== undefined && former !== specFile && [former, specFile].every(isFile);
    if (isElsewhere && changes.some(({ action }) => action !== 'none'))
      stderr(`${name} was applied from ${printable(former)} until now`);
    if (!changes.some(({ step, action }) => step.op === 'process' && action === 'replace')) continue;
    for (const [other, { joinsPidOf = [] }] of Object.entries(containers)) {
      if (!joinsPidOf.includes(name) || called.some((one) => one.name === other)) continue;
      stderr(`${other} is in the pid namespace of ${name}, and ends with its process: apply it as well`);
    }
  }
}

/** Whether the path is of a file; standard input and pipes are not. */
function isFile(path: string): boolean {
  return path !== STDIN && !/^\/(?:dev|proc)\//.test(path);
}
