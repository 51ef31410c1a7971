// A short slice of the campaigns that kill runspec at every change it makes; `npm run torture` plays them whole.
import { expect, it, describe } from 'vitest';
import { programs, requireSystem } from '../support/requirements.ts';
import { sliceCampaign } from '../torture/slice.ts';

describe.skipIf(!requireSystem() || !programs('strace'))('kill -9 at a change', () => {
  it.each([
    ['apply', 5],
    ['update', 5],
    ['down', 4],
  ])('of %s leaves nothing that the next down, apply or gc does not deal with', async (operation, rounds) => {
    const { failures, residue, faults } = await sliceCampaign(`kill-steps-${operation}`, rounds);
    expect([...failures, ...residue]).toEqual([]);
    expect(faults).toBe(rounds);
  });
});
