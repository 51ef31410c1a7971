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

it('a disk that takes nothing more is named with what to do, and without a stack', () => {
  const error = Object.assign(new Error("EROFS: read-only file system, mkdir '/data/images'"), {
    code: 'EROFS',
  });
  expect(renderFailure(error, false)).toEqual({
    status: 1,
    lines: [
      "error: EROFS: read-only file system, mkdir '/data/images'",
      '  hint: choose a writable place with --state-dir and --data-dir',
    ],
  });
  expect(renderFailure(new TypeError('x is not a function'), false).lines.join()).toContain('at ');
});
