import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { isLostOn } from '../../src/runtime/default-action.ts';

/** A machine with one process, pid 77. */
function showing(status: Readonly<Record<string, string>>): Host {
  const fields = { NSpid: '77\t1', SigBlk: '0', SigIgn: '0', SigCgt: '0', ...status };
  const files: Readonly<Record<string, string>> = {
    '/proc/77/status': `Name:\tsleep\n${Object.entries(fields)
      .map(([name, value]) => `${name}:\t${value.padStart(16, '0')}\n`)
      .join('')}`,
    '/proc/77/stat': `77 (sleep) S ${'0 '.repeat(18)}4711 0`,
  };
  return { readText: async (path: string) => files[path] } as unknown as Host;
}

const init = { pid: 77, startTime: '4711' };
/** Bit n - 1 for signal n: SIGINT is 2, SIGTERM 15. */
const [INT, TERM] = ['2', '4000'];

it.each([
  ['has no handler', {}, 'SIGTERM', true],
  ['has one', { SigCgt: TERM }, 'SIGTERM', false],
  ['has one for another signal', { SigCgt: INT }, 'SIGTERM', true],
  ['ignores it', { SigIgn: TERM }, 'SIGTERM', false],
  ['blocks it, to wait for it', { SigBlk: TERM }, 'SIGTERM', false],
  ['handles all', { SigCgt: 'fffffffe7ffbfeff' }, 'SIGINT', false],
  ['has no handler for what ends nobody by custom', {}, 'SIGUSR1', false],
  ['is process 1 three namespaces down', { NSpid: '77\t9\t1' }, 'SIGINT', true],
  ['is not process 1 of its namespace', { NSpid: '77\t2' }, 'SIGINT', false],
  ['is in the namespace of the host', { NSpid: '77' }, 'SIGINT', false],
] as const)('a process that %s', async (_, status, signal, lost) => {
  expect(await isLostOn(showing(status), init, signal)).toBe(lost);
});

it.each([
  ['another process has its number by now', { ...init, startTime: '1' }],
  ['it is gone', { ...init, pid: 78 }],
])('no signal is lost when %s', async (_, process) => {
  expect(await isLostOn(showing({}), process, 'SIGTERM')).toBe(false);
});
