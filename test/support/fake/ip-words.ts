// The words of fake `ip` commands, and what follows from them.
import type { FakeLink } from './link.ts';

export function subnetOf(address: string): string {
  if (isIpv6(address)) return address;
  const [quad = '', prefix] = address.split('/');
  const bits = quad.split('.').map((part) => Number(part).toString(2).padStart(8, '0'));
  return bits.join('').slice(0, Number(prefix));
}

export function isIpv6(address: string): boolean {
  return address.includes(':');
}

export function shape(options: ReadonlyMap<string, string>): Partial<FakeLink> {
  const mtu = options.get('mtu');
  const mac = options.get('address');
  return {
    ...(mtu === undefined ? {} : { mtu: Number(mtu) }),
    ...(mac === undefined ? {} : { mac, isMacSet: true }),
  };
}

export function splitAt(
  words: readonly string[],
  word: string,
): readonly [readonly string[], readonly string[]] {
  const index = words.indexOf(word);
  return index < 0 ? [words, []] : [words.slice(0, index), words.slice(index + 1)];
}

export function pairs(words: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (let index = 0; index + 1 < words.length; index += 2)
    found.set(words[index] ?? '', words[index + 1] ?? '');
  return found;
}

export function unknown(words: readonly string[]): Error {
  return new Error(`the fake host does not know: ip ${words.join(' ')}`);
}

/** What `ip` complains about: its stderr. */
export class IpError extends Error {
  override readonly name = 'IpError';
}
