// Quoting for rendered scripts: the one place where text becomes a word or a comment of a POSIX shell.
import { printable } from '../load/render-diagnostic.ts';

export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

export function quoteAll(argv: readonly string[]): string {
  return argv.map(quote).join(' ');
}

/** A comment of one line. Names may have line ends in them, and what comes after one would be run. */
export function comment(text: string): string {
  return `# ${printable(text)}`;
}

/** A here-document that takes `text` literally. */
export function hereDocument(argv: readonly string[], text: string): readonly string[] {
  let mark = 'EOF';
  while (text.split('\n').includes(mark)) mark += '_';
  return [`${quoteAll(argv)} <<'${mark}'`, ...text.replace(/\n$/, '').split('\n'), mark];
}
