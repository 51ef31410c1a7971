// Colour on a terminal, and none elsewhere.
import type { CommandContext } from './context.ts';

const CODES = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;

export function paint(
  context: Pick<CommandContext, 'color'>,
  style: keyof typeof CODES,
  text: string,
): string {
  return context.color ? `\u001B[${CODES[style]}m${text}\u001B[0m` : text;
}
