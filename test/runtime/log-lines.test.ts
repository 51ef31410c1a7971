import { describe, expect, it } from 'vitest';
import { createLogParser, createTail } from '../../src/runtime/log-lines.ts';

const LOG = [
  't1 stdout F one',
  't2 stderr P half ',
  't3 stdout F two',
  't4 stderr F whole',
  't5 stdout F ',
  't6 stdout P no end',
  '',
].join('\n');

const parse = (chunks: readonly string[]): ReturnType<ReturnType<typeof createLogParser>['push']> => {
  const parser = createLogParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
};
const show = (pieces: ReturnType<typeof parse>): string =>
  pieces.map(({ stream, text, ends }) => `${stream}:${text}${ends ? '|' : '~'}`).join(' ');

describe('a log', () => {
  const expected = 'stdout:one| stderr:half ~ stdout:two| stderr:whole| stdout:| stdout:no end~';

  it('is read entry by entry, long lines in pieces', () => {
    expect(show(parse([LOG]))).toBe(expected);
  });

  it('is the same however it arrives', () => {
    expect(show(parse(LOG.split(/(?<=.)/s)))).toBe(expected);
  });

  it('says where lines start, stream by stream', () => {
    expect(parse([LOG]).map(({ starts }) => starts)).toEqual([true, true, true, false, true, true]);
  });

  it('passes over an entry that conmon could not finish', () => {
    expect(show(parse(['t1 stdout F one\n2024-01', '\nt2 stdout F two\n']))).toBe('stdout:one| stdout:two|');
  });

  it.each([
    [0, ''],
    [1, 'stdout:no end~'],
    [3, 'stdout:two| stdout:| stdout:no end~'],
    [4, 'stderr:half ~ stderr:whole| stdout:two| stdout:| stdout:no end~'],
    [99, 'stdout:one| stderr:half ~ stderr:whole| stdout:two| stdout:| stdout:no end~'],
  ])('ends with %i lines, each of them whole', (count, lines) => {
    const tail = createTail(count);
    parse([LOG]).forEach((piece) => tail.push(piece));
    expect(show(tail.pieces())).toBe(lines);
  });

  it.each([
    ['in large pieces', 8192],
    ['byte by byte', 1],
  ])('keeps the end of a line that does not end, written %s', (_, size) => {
    const tail = createTail(1);
    const parser = createLogParser();
    for (let at = 0; at < 200_000; at += 1)
      for (const piece of parser.push(`t${at} stdout P ${'x'.repeat(size)}\n`)) tail.push(piece);
    const kept = tail.pieces();
    expect(kept.at(-1)?.time).toBe('t199999');
    expect(kept.length * (size + 128)).toBeGreaterThanOrEqual(2 ** 21 - 8320);
    expect(kept.length * (size + 128)).toBeLessThanOrEqual(2 ** 22);
  });
});
