import { expect, test } from 'vitest';
import type { Diagnostic } from '../../src/errors.ts';
import { renderDiagnostic } from '../../src/load/render-diagnostic.ts';

const at = (line: number, from: number, to: number): Pick<Diagnostic, 'range'> => ({
  range: { start: { line, column: from, offset: 0 }, end: { line, column: to, offset: 0 } },
});
const base: Diagnostic = {
  code: 'bad-name',
  severity: 'error',
  message: 'name is bad',
  path: [],
  file: 'a.yaml',
};
const plain = { color: false };

test('without a place there is only the message', () => {
  expect(renderDiagnostic({ ...base, hint: 'rename it' }, undefined, plain)).toBe(
    'a.yaml: name is bad\n  hint: rename it',
  );
});

test('carets stand below the value, tabs included', () => {
  expect(renderDiagnostic({ ...base, ...at(2, 7, 10) }, 'x\n\tname: Web\r\n', plain)).toBe(
    'a.yaml:2:7: name is bad\n  2 | \tname: Web\n    | \t     ^^^',
  );
});

test('a long line is cut around the value', () => {
  const text = `${'a'.repeat(500)}Web${'b'.repeat(500)}`;
  const [, line = '', carets = ''] = renderDiagnostic({ ...base, ...at(1, 501, 504) }, text, plain).split(
    '\n',
  );
  expect(line.length).toBeLessThan(130);
  expect(line.slice(carets.indexOf('^'), carets.length)).toBe('Web');
});

test('escape sequences of a spec do not reach the terminal', () => {
  const rendered = renderDiagnostic(
    { ...base, message: 'key \u001B[31m', ...at(1, 1, 2) },
    'x\u001B]0;title\u0007\u009B1m',
    plain,
  );
  expect(rendered).not.toMatch(/[^\P{Cc}\n]/u);
});

test('colour is used only when asked for, and warnings are called so', () => {
  const warning: Diagnostic = { ...base, severity: 'warning' };
  expect(renderDiagnostic(warning, undefined, plain)).toBe('a.yaml: warning: name is bad');
  expect(renderDiagnostic(warning, undefined, { color: true })).toContain('\u001B[33mwarning:\u001B[0m');
});
