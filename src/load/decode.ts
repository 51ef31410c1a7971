// Bytes of a spec to text. With U+FFFD in the place of what is no UTF-8, a container would get another text than was
// written: such a place is told instead.

export interface DecodedText {
  readonly text: string;
  readonly fault?: EncodingFault;
}

/** Why, and from where on, bytes are not the text that stands for them. */
export interface EncodingFault {
  readonly message: string;
  /** In the text. */
  readonly offset: number;
}

export function decode(bytes: Uint8Array): DecodedText {
  if (isUtf16(bytes)) return { text: '', fault: { message: 'the file is UTF-16, not UTF-8', offset: 0 } };
  // With a byte order mark, if there is one: offsets count it.
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const fault = findFault(bytes, text);
  return fault === undefined ? { text } : { text, fault };
}

/** By a mark at its start; or by a first character of ASCII, as every spec has: YAML 1.2.2, section 5.2. */
function isUtf16([first, second]: Uint8Array): boolean {
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true;
  return second !== undefined && (first === 0) !== (second === 0);
}

/** The first U+FFFD that is not written as such: all before it is as long in bytes as its text says. */
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
