// Before the system tier: builds the product, so that the tests never judge yesterday's bundle.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

export function setup(): void {
  const script = path.resolve(import.meta.dirname, '../../scripts/build.mjs');
  const { status } = spawnSync(process.execPath, [script], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the build failed, so there is nothing to test');
}
