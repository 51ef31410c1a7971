// System errors, told apart by their `code`. Decides nothing about what an error means.

/** Whether `error` is a system error with one of these codes, as in `ENOENT`. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return typeof error.code === 'string' && codes.includes(error.code);
}

/** An error shaped like the system's own, for requests that runspec refuses itself. */
export function systemError(code: string, reason: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${reason}, '${path}'`), { code, path });
}

/** The result of `call`, or `fallback` when it fails with one of these codes. */
export function except<T, F>(call: () => T, fallback: F, ...codes: readonly string[]): T | F {
  try {
    return call();
  } catch (error) {
    if (hasCode(error, ...codes)) return fallback;
    throw error;
  }
}
