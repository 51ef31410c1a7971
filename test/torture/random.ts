// Choices that a seed makes again: mulberry32, enough for when and whom to kill.
export interface Random {
  /** A fraction from 0 up to 1. */
  fraction(): number;
  /** A whole number from 0 up to, not including, `count`. */
  below(count: number): number;
  pick<T>(from: readonly T[]): T;
  shuffle<T>(list: readonly T[]): readonly T[];
  /** True in one of `times` cases. */
  oneIn(times: number): boolean;
}

/** The same for equal seeds and names; campaigns do not disturb each other's choices. */
export function createRandom(seed: number, name: string): Random {
  let state = seed >>> 0;
  for (const letter of name) state = Math.imul(state ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number): number => Math.floor(fraction() * count);
  return {
    fraction,
    below,
    pick: (from) => {
      if (from.length === 0) throw new Error('nothing to pick from');
      return from[below(from.length)] as (typeof from)[number];
    },
    shuffle: (list) =>
      list
        .map((value) => ({ value, key: fraction() }))
        .toSorted((one, other) => one.key - other.key)
        .map(({ value }) => value),
    oneIn: (times) => below(times) === 0,
  };
}
