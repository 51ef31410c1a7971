// Turns of the event loop for programs that have ended, ahead of work that keeps runspec busy.
/** Turns of the event loop that it takes to read a program's output, see that it has ended, and start the next one. */
const ROUNDS = 4;

/**
 * Gives the event loop some turns, so that code that waits for a program goes on when that has ended, before other work
 * keeps runspec busy. The real Host reads files synchronously, so awaiting that gives the event loop no turn.
 */
export async function hearPrograms(): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) await new Promise((resolve) => setImmediate(resolve));
}
