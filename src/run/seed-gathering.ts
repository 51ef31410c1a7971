// Seeds of a new volume that several containers of one call share. The volume is made once, when the layers of all of
// them are there, and filled from the first container in the order of the call whose folder has anything in it,
// whichever is the quickest.
import type { Step, VolumeSeed } from '../plan/plan.ts';

export interface SeedGathering {
  /** Notes that a container has come to the step that makes the volume. */
  arrive(container: string, step: Step): void;
  /** Notes that the container will come to no such step any more. */
  leave(container: string): void;
  /** The seeds of all containers, once each of them has arrived or left. */
  seedsOf(step: Step): Promise<readonly VolumeSeed[]>;
}

interface Guest {
  readonly seeds: Promise<readonly VolumeSeed[]>;
  come(seeds: readonly VolumeSeed[]): void;
}

/**
 * @param expected containers in the order of the call, with the ids of their steps. Without those that start after
 *   another container of the call: that one would wait for their seeds.
 */
export function createSeedGathering(
  expected: readonly { readonly container: string; readonly steps: readonly string[] }[],
): SeedGathering {
  const guests = new Map<string, Map<string, Guest>>();
  const guestOf = (container: string, step: string): Guest => {
    const known = guests.get(step) ?? new Map<string, Guest>();
    guests.set(step, known);
    const guest = known.get(container) ?? createGuest();
    known.set(container, guest);
    return guest;
  };
  for (const { container, steps } of expected) for (const step of steps) guestOf(container, step);
  return {
    arrive: (container, step) => guestOf(container, step.id).come(seedsIn(step)),
    leave: (container) => guests.forEach((known) => known.get(container)?.come([])),
    seedsOf: async (step) =>
      (await Promise.all([...(guests.get(step.id)?.values() ?? [])].map(({ seeds }) => seeds))).flat(),
  };
}

function createGuest(): Guest {
  let come: Guest['come'] = () => undefined;
  const seeds = new Promise<readonly VolumeSeed[]>((resolve) => (come = resolve));
  return { seeds, come };
}

function seedsIn(step: Step): readonly VolumeSeed[] {
  return step.op === 'directory' ? (step.seeds ?? []) : [];
}

/** Whether the step makes a volume that is filled from seeds. */
export function isSeeded(step: Step): boolean {
  return seedsIn(step).length > 0;
}
