import { expect, it } from 'vitest';
import { failureDocument, failureEvent } from '../../src/commands/failure-json.ts';
import {
  BusyError,
  InterruptedError,
  OperationError,
  SeveralFailures,
  UsageError,
} from '../../src/errors.ts';

const parse = (text: string): unknown => JSON.parse(text);
const command = { argv: ['nft', '-f', '-'], status: 1, stderr: 'no such table\n' };

it.each<[string, unknown, readonly object[]]>([
  [
    'of an operation',
    new OperationError('cannot', { container: 'web', step: 'nft', command, cleanup: [new Error('left')] }),
    [{ message: 'cannot', container: 'web', step: 'nft', command, cleanup: [{ message: 'left' }] }],
  ],
  [
    'of several, also of one container',
    new SeveralFailures('2 of 3', [
      new UsageError('a', 'b'),
      new SeveralFailures('2 steps', [new OperationError('c'), new Error('d')]),
    ]),
    [{ message: 'a', hint: 'b' }, { message: 'c' }, { message: 'd' }],
  ],
  [
    'of an interruption',
    new InterruptedError('SIGINT', [new Error('left')]),
    [{ message: 'interrupted by SIGINT', cleanup: [{ message: 'left' }] }],
  ],
  [
    'of another runspec',
    new BusyError('another runspec'),
    [{ message: 'another runspec', hint: 'try again, or wait longer with --lock-timeout' }],
  ],
  [
    'of a disk',
    Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' }),
    [
      {
        message: 'EROFS: read-only file system',
        hint: 'choose a writable place with --state-dir and --data-dir',
      },
    ],
  ],
  ['that nobody foresaw, without its stack', new TypeError('x'), [{ message: 'x' }]],
])('gives programs the failure %s', (_, error, failures) => {
  expect(parse(failureEvent(error, 1))).toEqual({ event: 'failed', status: 1, failures });
  expect(parse(failureDocument(error, 1))).toEqual({ failed: true, status: 1, failures });
});
