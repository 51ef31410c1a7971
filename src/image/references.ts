// References: the sha256 that an unpinned URL had when it was fetched. A reference counts only while its layer is in
// the store; without that the URL has to be fetched anew.
import type { Host } from '../host/host.ts';
import { sha256 } from '../crypto.ts';
import { hasLayer, storePaths, writeStored } from './store.ts';

export async function readReference(host: Host, dataDir: string, url: string): Promise<string | undefined> {
  const key = (await host.readText(referencePath(dataDir, url)))?.split(' ')[0];
  if (key === undefined || !/^[0-9a-f]{64}$/.test(key)) return undefined;
  return (await hasLayer(host, dataDir, key)) ? key : undefined;
}

export async function writeReference(host: Host, dataDir: string, url: string, key: string): Promise<void> {
  await writeStored(host, dataDir, referencePath(dataDir, url), `${key} ${url}\n`);
}

function referencePath(dataDir: string, url: string): string {
  return `${storePaths(dataDir).references}/${sha256(url)}`;
}
