// The two halves of a dev_t. Pure.

/** As gnu_dev_major(3) and gnu_dev_minor(3) take a dev_t apart. */
export function splitDevice(device: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    minor: Number((device & 0xffn) | ((device >> 12n) & ~0xffn)),
  };
}
