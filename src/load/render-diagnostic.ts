// A diagnostic for people: `file:line:col: message`, the line with a caret below, and a hint.
import type { Diagnostic, SourceRange } from '../errors.ts';
import { maskSecrets } from './show-source.ts';

const WIDEST_LINE = 120;
const MARGIN = 20;

export interface RenderOptions {
  readonly color: boolean;
}

/**
 * Renders several lines without a final newline.
 * @param text of the file; without it there is no excerpt.
 */
export function renderDiagnostic(
  diagnostic: Diagnostic,
  text: string | undefined,
  options: RenderOptions,
): string {
  const { file, range, severity, message, hint } = diagnostic;
  const paint = (code: number, words: string): string =>
    options.color ? `\u001B[${code}m${words}\u001B[0m` : words;
  const place = [file, range?.start.line, range?.start.column].filter((part) => part !== undefined).join(':');
  const accent = severity === 'warning' ? 33 : 31;
  const lines = [
    [
      ...(place === '' ? [] : [paint(1, `${printable(place)}:`)]),
      ...(severity === 'warning' ? [paint(accent, 'warning:')] : []),
      printable(message),
    ].join(' '),
  ];
  if (range !== undefined && text !== undefined) {
    lines.push(
      ...renderExcerpt(
        text,
        range,
        (words) => paint(accent, words),
        (words) => paint(2, words),
      ),
    );
  }
  if (hint !== undefined) lines.push(`  ${paint(36, 'hint:')} ${printable(hint)}`);
  return lines.join('\n');
}

type Paint = (words: string) => string;

function renderExcerpt(text: string, range: SourceRange, accent: Paint, faint: Paint): readonly string[] {
  const written = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    [range.start.line - 1]?.replace(/\r$/, '');
  if (written === undefined || written.trim() === '') return [];
  // The masked line is as long as before: the caret stays where it was.
  const line = maskSecrets(written);
  const start = range.start.column - 1;
  // A range over several lines is a list or an object: its beginning is enough.
  const end = range.end.line === range.start.line ? range.end.column - 1 : start + 1;
  const from = line.length > WIDEST_LINE ? Math.max(0, start - MARGIN) : 0;
  const shown = line.slice(from, from + WIDEST_LINE);
  const before = shown.slice(0, start - from);
  const marked = shown.slice(start - from, Math.max(end, start + 1) - from);
  const number = String(range.start.line);
  return [
    `  ${faint(`${number} |`)} ${printable(shown)}`,
    `  ${faint(`${' '.repeat(number.length)} |`)} ${blank(before)}${accent('^'.repeat(Math.max(1, blank(marked).length)))}`,
  ];
}

/** Space of as many columns as `text` takes; tabs stay tabs. */
function blank(text: string): string {
  return Array.from(printable(text), (character) =>
    character === '\t' ? '\t' : isWide(character) ? '  ' : ' ',
  ).join('');
}

/** East Asian wide characters and emoji take two columns of a terminal. */
function isWide(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return (
    (code >= 0x11_00 && code <= 0x11_5f) ||
    (code >= 0x2e_80 && code <= 0xa4_cf) ||
    (code >= 0xac_00 && code <= 0xd7_a3) ||
    (code >= 0xf9_00 && code <= 0xfa_ff) ||
    (code >= 0xfe_30 && code <= 0xfe_6f) ||
    (code >= 0xff_00 && code <= 0xff_60) ||
    (code >= 0x1_f3_00 && code <= 0x1_fa_ff) ||
    code >= 0x2_00_00
  );
}

/** Replaces control characters and changes of direction, which must not reach the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/(?!\t)\p{Cc}|[\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu, '\uFFFD');
}
