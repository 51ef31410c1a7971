// Snapshots of a host on which something has just come up: the kernel gives links their own addresses a moment later.
import { diffSnapshots, type Snapshot } from './snapshot.ts';
import type { TestHost } from './test-host.ts';

/** Once nothing has moved for a second. */
export async function settledSnapshot(host: TestHost): Promise<Snapshot> {
  const deadline = Date.now() + 30_000;
  for (let last = await host.snapshot(); ;) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const now = await host.snapshot();
    if (diffSnapshots(last, now).length === 0) return now;
    if (Date.now() > deadline)
      throw new Error(`the host does not settle:\n${diffSnapshots(last, now).join('\n')}`);
    last = now;
  }
}
