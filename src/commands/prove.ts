// down --prove: attests that nothing is left of the containers, or says what is.
import { OperationError, UsageError } from '../errors.ts';
import type { Step } from '../plan/plan.ts';
import { prove, readSnapshot, type KeptSnapshot } from '../run/proof.ts';
import { recordedSteps } from '../run/records.ts';
import type { Session } from '../run/session.ts';
import type { CommandContext } from './context.ts';
import { renderDifference } from './render-differences.ts';

export interface Evidence {
  readonly name: string;
  readonly kept: KeptSnapshot;
  readonly steps: readonly Step[];
}

/** @throws UsageError, with nothing touched, when there is nothing to compare with. */
export async function collectEvidence(
  session: Session,
  names: readonly string[],
): Promise<readonly Evidence[]> {
  return Promise.all(
    names.map(async (name) => {
      const [kept, record] = await Promise.all([readSnapshot(session, name), session.records.read(name)]);
      if (kept !== undefined && record !== undefined) return { name, kept, steps: recordedSteps(record) };
      throw new UsageError(
        `there is no picture of the host from before ${name}; nothing was touched`,
        'apply with --prove keeps one, for this boot; without it: runspec down, or runspec leakcheck',
      );
    }),
  );
}

/** @throws OperationError when anything is left. */
export async function proveAll(
  context: CommandContext,
  session: Session,
  evidence: readonly Evidence[],
): Promise<void> {
  const dirty: string[] = [];
  for (const { name, kept, steps } of evidence) {
    const proof = await prove(session, name, kept, steps);
    if (!proof.clean) dirty.push(name);
    if (context.json) context.stdout(`${JSON.stringify({ event: 'proof', ...proof })}\n`);
    else if (proof.clean) context.stdout(`${JSON.stringify(proof, undefined, 2)}\n`);
    else for (const one of proof.residue) context.stdout(`${renderDifference(context, one)}\n`);
  }
  if (dirty.length === 0) return;
  throw new OperationError(`the host is not as it was before ${dirty.join(', ')}`, {
    hint: 'what is listed came or went since apply --prove; what other containers did is not counted',
  });
}
