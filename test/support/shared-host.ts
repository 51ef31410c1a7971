// One throw-away host for all tests of a `describe`: made before the first; after the last, everything is
// taken down and the host must be as it was.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { SPECS } from './specs.ts';
import { createTestHost, type TestHost } from './test-host.ts';
import type { Snapshot } from './snapshot.ts';

export interface SharedHostSetUp {
  /** Makes what is there before runspec: it counts as the host's own. */
  readonly prepare?: (host: TestHost) => Promise<unknown>;
  /** Runs runspec: what it leaves after `down --all` is a leak. */
  readonly start?: (host: TestHost) => Promise<unknown>;
}

export function shareHost({ prepare, start }: SharedHostSetUp = {}): () => TestHost {
  let host: TestHost | undefined;
  let before: Snapshot | undefined;
  beforeAll(async () => {
    host = await createTestHost();
    await prepare?.(host);
    before = await host.snapshot();
    await start?.(host);
  });
  afterAll(async () => {
    try {
      if (host !== undefined && before !== undefined) await expectTraceless(host, before);
    } finally {
      await host?.destroy();
    }
  });
  return () => {
    if (host === undefined) throw new Error('the host could not be made');
    return host;
  };
}

async function expectTraceless(host: TestHost, before: Snapshot): Promise<void> {
  const { status, stderr } = await host.runspec('down', '--all', '--volumes');
  if (status !== 0) throw new Error(`down --all ended with ${status}:\n${stderr}`);
  // What the tests wrote themselves.
  fs.rmSync(path.join(host.folder, SPECS), { recursive: true, force: true });
  const left = await host.settledDiff(before);
  if (left.length === 0) return;
  const shown = left.slice(0, 40).join('\n');
  throw new Error(`the host is not as it was before, ${left.length} differences:\n${shown}`);
}
