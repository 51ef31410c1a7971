// The digest that records carry of themselves: one changed letter could turn a port or a former value into another that
// looks just as right. Pure.
import { sha256 } from '../crypto.ts';

const DIGEST = 'digest';

export function seal(record: object): string {
  const text = JSON.stringify(record);
  return `${text.slice(0, -1)},"${DIGEST}":"${sha256(text)}"}\n`;
}

/**
 * @returns the record without its digest; undefined when it is not JSON or not what was written. A record without a
 *   digest is returned as it is.
 */
export function unseal(text: string): unknown {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, DIGEST)) return value;
  const { [DIGEST]: digest, ...record } = value as Readonly<Record<string, unknown>>;
  return digest === sha256(JSON.stringify(record)) ? record : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not JSON: as unreadable as JSON of another shape.
    return undefined;
  }
}
