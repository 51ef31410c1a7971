import { describe, expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import { despiteSignals } from '../../src/host/commands.ts';

const cutShort = new OperationError('nft refused a change', {
  command: { argv: ['nft'], status: undefined, stderr: 'nft was ended by SIGINT\n' },
});
const refused = new OperationError('nft refused a change', {
  command: { argv: ['nft'], status: 1, stderr: 'Error: syntax error\n' },
});

/** What fails with these, one after the other, and then works. */
function failing(...failures: readonly Error[]): { readonly work: () => Promise<string>; calls(): number } {
  let calls = 0;
  return {
    calls: () => calls,
    work: async () => {
      const failure = failures[calls];
      calls += 1;
      if (failure !== undefined) throw failure;
      return 'done';
    },
  };
}

describe('work that a signal for runspec may meet', () => {
  it('is done again when its program was ended by one', async () => {
    expect(await despiteSignals(failing(cutShort, cutShort).work)).toBe('done');
  });

  it('is not done again for another failure, nor for ever', async () => {
    const once = failing(refused);
    await expect(despiteSignals(once.work)).rejects.toBe(refused);
    expect(once.calls()).toBe(1);
    const always = failing(...Array.from({ length: 20 }, () => cutShort));
    await expect(despiteSignals(always.work)).rejects.toBe(cutShort);
    expect(always.calls()).toBe(5);
  });
});
