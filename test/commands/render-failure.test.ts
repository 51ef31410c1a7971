import { expect, it } from 'vitest';
import { renderFailure } from '../../src/commands/render-failure.ts';
import { InterruptedError, OperationError, SeveralFailures, UsageError } from '../../src/errors.ts';

/** Clears the screen, names the window. */
const rude = '\u001B[2J\u001B]0;owned\u0007';

it.each<[string, unknown]>([
  [
    'an operation',
    new OperationError(`image ${rude}`, {
      hint: `it has ${rude}`,
      place: `web${rude}`,
      command: { argv: ['tar', rude], status: 2, stderr: `tar: ${rude}\ntar: end` },
      cleanup: [new OperationError(rude, { hint: rude }), new Error(rude)],
    }),
  ],
  ['several', new SeveralFailures('two failed', [new OperationError(rude), new Error(rude)])],
  ['an interruption', new InterruptedError('SIGTERM', [new Error(rude)])],
  ['a wrong use', new UsageError(`there is no image ${rude}`, rude)],
  ['what nobody foresaw', new TypeError(rude)],
])('the failure of %s reaches the terminal without the control characters of others', (_, error) => {
  const text = renderFailure(error, false).lines.join('\n');
  expect(text).toContain('owned');
  expect(text).not.toMatch(/(?!\n)\p{Cc}/u);
});
