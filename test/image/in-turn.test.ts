import { describe, expect, it } from 'vitest';
import { createTurns } from '../../src/image/in-turn.ts';

describe('work in turn', () => {
  it('is done a few at a time, in the order it came', async () => {
    const inTurn = createTurns(2);
    const begun: number[] = [];
    let [running, most] = [0, 0];
    const results = await Promise.all(
      [0, 1, 2, 3, 4].map((index) =>
        inTurn(async () => {
          begun.push(index);
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
          return index * 10;
        }),
      ),
    );
    expect({ begun, most, results }).toEqual({
      begun: [0, 1, 2, 3, 4],
      most: 2,
      results: [0, 10, 20, 30, 40],
    });
  });

  it('goes on after a failure', async () => {
    const inTurn = createTurns(1);
    const failing = inTurn(() => Promise.reject(new Error('broken')));
    const next = inTurn(() => Promise.resolve('made'));
    await expect(failing).rejects.toThrow('broken');
    expect(await next).toBe('made');
    expect(await inTurn(() => Promise.resolve('once more'))).toBe('once more');
  });
});
