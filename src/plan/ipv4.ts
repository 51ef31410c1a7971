// IPv4 arithmetic on text: addresses and CIDR blocks as numbers, and back.

export interface Block {
  /** Network address as an unsigned 32-bit number. */
  readonly network: number;
  readonly prefix: number;
}

/** @returns undefined when the text is no dotted quad. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

export function showAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** The block that `text` (`10.209.0.7/24` as well as `10.209.0.0/24`) lies in; undefined when it is no CIDR. */
export function parseBlock(text: string): Block | undefined {
  const [address, prefixText] = text.split('/');
  const value = parseAddress(address ?? '');
  const prefix = Number(prefixText);
  if (
    value === undefined ||
    prefixText === undefined ||
    !Number.isInteger(prefix) ||
    prefix < 0 ||
    prefix > 32
  )
    return undefined;
  return { network: value - (value % sizeOf(prefix)), prefix };
}

export function showBlock(block: Block): string {
  return `${showAddress(block.network)}/${block.prefix}`;
}

export function contains(block: Block, address: number): boolean {
  return address >= block.network && address < block.network + sizeOf(block.prefix);
}

export function overlap(one: Block, other: Block): boolean {
  return one.prefix <= other.prefix ? contains(one, other.network) : contains(other, one.network);
}

/** First and last address that a host may have; the network and broadcast address are not among them. */
export function hostRange(block: Block): { readonly first: number; readonly last: number } {
  const size = sizeOf(block.prefix);
  // RFC 3021: a /31 has no broadcast address, and a /32 is one host.
  if (size <= 2) return { first: block.network, last: block.network + size - 1 };
  return { first: block.network + 1, last: block.network + size - 2 };
}

function sizeOf(prefix: number): number {
  return 2 ** (32 - prefix);
}
