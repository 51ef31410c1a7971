// Adds an archive to a store in a process of its own: add-archive.mjs DATA-DIR FILE; prints the key or the error.
import { createLinuxArchives } from '../../src/host/linux-archives.ts';
import { createLinuxHost } from '../../src/host/linux.ts';
import { addArchive } from '../../src/image/unpack-tarball.ts';

const [dataDir = '', file = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const context = {
  host: createLinuxHost(),
  archives: createLinuxArchives(),
  dataDir,
  signal,
  progress: () => undefined,
};
await addArchive(context, file).then(
  (key) => console.log(key),
  (error: unknown) => console.log(error instanceof Error ? error.message : error),
);
