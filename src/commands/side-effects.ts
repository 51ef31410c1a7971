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
    const endsProcess = changes.some(({ step, action }) => step.op === 'process' && action === 'replace');
    const namesAnew = changes.some(isOfNames);
    for (const [other, { joinsPidOf = [], joinsNetworkOf = [] }] of Object.entries(containers)) {
      if (called.some((one) => one.name === other)) continue;
      if (endsProcess && joinsPidOf.includes(name))
        stderr(`${other} is in the pid namespace of ${name}, and ends with its process: apply it as well`);
      if (namesAnew && joinsNetworkOf.includes(name))
        stderr(`${other} is in the network of ${name}, and keeps its former names: apply it as well`);
    }
  }
}

/** Whether it gives another text to a file from which those that join the network have their own: plan/etc-files.ts. */
function isOfNames({ step, former }: Change): boolean {
  if (!['file:/etc/hosts', 'file:/etc/resolv.conf'].includes(step.id)) return false;
  return step.op === 'file' && former?.op === 'file' && former.text !== step.text;
}

/** Whether the path is of a file; standard input and pipes are not. */
function isFile(path: string): boolean {
  return path !== STDIN && !/^\/(?:dev|proc)\//.test(path);
}
