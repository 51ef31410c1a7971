// Decodes the bytes of a spec. Bytes that are not UTF-8 are reported: with U+FFFD in their place a container would get
// another text than was written.

export interface DecodedText {
  readonly text: string;
  readonly fault?: EncodingFault;
}

/** First place at which the bytes are not UTF-8, and the reason. */
export interface EncodingFault {
  readonly message: string;
  /** Index in the text. */
  readonly offset: number;
}

export function decode(bytes: Uint8Array): DecodedText {
  if (isUtf16(bytes)) return { text: '', fault: { message: 'the file is UTF-16, not UTF-8', offset: 0 } };
  // The text keeps a byte order mark, because offsets count it.
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const fault = findFault(bytes, text);
  return fault === undefined ? { text } : { text, fault };
}

/**
 * UTF-16 shows by its byte order mark, or by a zero byte beside the first character, which is ASCII in every spec (YAML
 * 1.2.2, section 5.2).
 */
function isUtf16([first, second]: Uint8Array): boolean {
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true;
  return second !== undefined && (first === 0) !== (second === 0);
}

/**
 * Fault at the first U+FFFD that the bytes do not hold themselves. All text before it is as long in bytes as its UTF-8.
 */
function findFault(bytes: Uint8Array, text: string): EncodingFault | undefined {
  let [offset, at] = [0, 0];
  for (;;) {
    const next = text.indexOf('\uFFFD', offset);
    if (next === -1) return undefined;
    at += Buffer.byteLength(text.slice(offset, next));
    if (bytes[at] !== 0xef || bytes[at + 1] !== 0xbf || bytes[at + 2] !== 0xbd) {
      const byte = (bytes[at] ?? 0).toString(16).padStart(2, '0');
      return { message: `the byte ${byte} is not UTF-8`, offset: next };
    }
    [offset, at] = [next + 1, at + 3];
  }
}
