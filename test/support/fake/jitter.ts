// Concurrent calls in another order than that in which they were made, as on a real machine; the same one for a seed.
import type { Gate } from './gate.ts';

/** @param seed 0 leaves the order as it is. */
export function withJitter(gate: Gate, seed: number): Gate {
  if (seed === 0) return gate;
  let state = seed;
  // The generator of ISO C's example of rand().
  const random = (): number => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) / 0x7fffffff;
  // Half of the calls go on at once; of the others, a few wait long.
  const wait = async (): Promise<void> => {
    const turns = random() < 0.5 ? 0 : Math.floor(random() * random() * 12);
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    get count() {
      return gate.count;
    },
    get calls() {
      return gate.calls;
    },
    get isDead() {
      return gate.isDead;
    },
    changes: gate.changes,
    died: gate.died,
    pass: async (name, effect, half) => {
      await wait();
      return gate.pass(name, effect, half);
    },
    read: async (look) => {
      await wait();
      return gate.read(look);
    },
  };
}
