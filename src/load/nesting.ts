// Depth of a YAML text, by its tokens alone: the parser recurses, and thousands of open brackets would cost it seconds
// and gigabytes before it gives up.
import { Lexer } from 'yaml';

/** Mark that the lexer puts before the text of a plain or block scalar. */
const SCALAR_MARK = '\u001F';

/** Whether flow collections, or lists and keys begun on one line, nest deeper than `limit`. */
export function nestsDeeper(text: string, limit: number): boolean {
  if (!mayNestDeeper(text, limit)) return false;
  let depth = 0;
  let begun = 0;
  let scalar = false;
  for (const lexeme of new Lexer().lex(text)) {
    if (scalar) {
      [scalar, begun] = [false, 0];
    } else if (lexeme === SCALAR_MARK) {
      scalar = true;
    } else if (lexeme === '[' || lexeme === '{') {
      depth++;
    } else if (lexeme === ']' || lexeme === '}') {
      depth--;
    } else if (lexeme === '-' || lexeme === '?') {
      begun++;
    } else if (lexeme.trim() !== '') {
      begun = 0;
    }
    if (lexeme === '\n' || lexeme === '\r\n') begun = 0;
    if (depth + begun > limit) return true;
  }
  return false;
}

/** Quick check that spares nearly every text the second pass of the lexer. */
function mayNestDeeper(text: string, limit: number): boolean {
  let brackets = 0;
  let indicators = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x5b || code === 0x7b) brackets++;
    else if (code === 0x2d || code === 0x3f) indicators++;
    else if (code === 0x0a) indicators = 0;
    if (brackets > limit || indicators > limit) return true;
  }
  return false;
}
