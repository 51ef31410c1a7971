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
      output: [rude],
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

it('of several failures each names its containers, and one that they share is told once', () => {
  const full = (container: string): OperationError =>
    new OperationError('the disk is full', { container, step: 'layer:a', hint: 'make room' });
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const other = new OperationError('no such user', { container: 'h', place: 'h.yaml:3:9' });
  const failures = new SeveralFailures('9 of 9 failed', [...names.map(full), other, new UsageError('so')]);
  expect(renderFailure(failures, false).lines).toEqual([
    'error: layer:a: the disk is full',
    '  containers: a, b, c, d, e and 2 more',
    '  hint: make room',
    'h.yaml:3:9: error: no such user',
    '  container: h',
    'error: so',
    'error: 9 of 9 failed',
  ]);
});

it('of several failures of one container none repeats its name', () => {
  const failed = (step: string): OperationError => new OperationError('busy', { container: 'web', step });
  const failures = new SeveralFailures('web: 2 steps', [failed('mount:/a'), failed('mount:/b')]);
  expect(renderFailure(failures, false).lines).toEqual([
    'error: mount:/a: busy',
    'error: mount:/b: busy',
    'error: web: 2 steps',
  ]);
});
