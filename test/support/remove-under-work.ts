// Removes a folder that a program may still put files into, as the conmon of a killed apply does into its bundle: Node's
// rmSync tries rmdir(2) again, but does not look again what has come.
import fs from 'node:fs';

const PATIENCE_MS = 5_000;

/** @throws what keeps it there after a while; nothing when it was not there. */
export async function removeUnderWork(folder: string): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; ;) {
    try {
      fs.rmSync(folder, { recursive: true, force: true });
      return;
    } catch (error) {
      const isRefilled = error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY';
      if (!isRefilled || Date.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
