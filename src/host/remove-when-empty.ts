// Removal of folders and cgroups that somebody else may still use.
import type { Host } from './host.ts';

/** Removes an empty folder. A folder with entries (ENOTEMPTY), a cgroup in use and a mount point (EBUSY) stay. */
export async function removeWhenEmpty(host: Host, folder: string): Promise<void> {
  try {
    await host.removeDirectory(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EBUSY' && code !== 'ENOTEMPTY') throw error;
  }
}
