// The real Host in one file, for tests that need a process of their own.
import path from 'node:path';
import { buildSync } from 'esbuild';

/** Makes it in `folder`; gives its path. */
export function bundleHost(folder: string): string {
  const outfile = path.join(folder, 'linux.mjs');
  buildSync({ entryPoints: ['src/host/linux.ts'], bundle: true, platform: 'node', format: 'esm', outfile });
  return outfile;
}
