/** Enough to read what a program has written, see that it has ended, and start the next one. */
const ROUNDS = 4;

/**
 * Lets whoever waits for a program that has ended meanwhile go on, before other work keeps this process busy: reading
 * files is synchronous here, and awaiting that does not give the event loop a turn.
 */
export async function hearPrograms(): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) await new Promise((resolve) => setImmediate(resolve));
}
