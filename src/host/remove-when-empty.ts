// rmdir(2) of what somebody else may be using: then it stays with them.
import type { Host } from './host.ts';

/** ENOTEMPTY of a folder; EBUSY of a cgroup with others in it, and of a mount point. */
export async function removeWhenEmpty(host: Host, folder: string): Promise<void> {
  try {
    await host.removeDirectory(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EBUSY' && code !== 'ENOTEMPTY') throw error;
  }
}
