// The real Archives: bulk bytes through Node and GNU tar.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createHash } from '../crypto.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits } from './archive-limits.ts';
import { OperationError } from '../errors.ts';
import type { Archives, TreeEntry } from './archives.ts';
import type { SendExchange } from './fetch.ts';
import type { HttpSettings } from './http.ts';
import { readStatus } from './linux-files.ts';
import { openFile } from './linux-open.ts';
import { resumable } from './resume.ts';
import { copy, digest, unpack, unpackStream } from './linux-unpack.ts';

const HTTP: HttpSettings = { idleMs: 30_000, retryMs: 300 };

export function createLinuxArchives(
  limits: ArchiveLimits = ARCHIVE_LIMITS,
  http = HTTP,
  environment = process.env,
): Archives {
  let send: SendExchange | undefined;
  // Loaded when needed, to keep the start of every other command short.
  const sender = async (): Promise<SendExchange> =>
    (send ??= (await import('./linux-exchange.ts')).createExchange(http, environment));
  return {
    limits,
    hash,
    fetch: async (request) => (await import('./fetch.ts')).fetchUrl(await sender(), http, request),
    resume: (response, again, signal) => resumable(response, again, http, signal),
    download: async (url, file, options) =>
      (await import('./linux-download.ts')).download(await sender(), http, url, file, options),
    unpack,
    unpackStream,
    copy,
    digest,
    walk,
    read,
    openFile,
    sync,
  };
}

const hash: Archives['hash'] = async (file, signal) => {
  const digest = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of fs.createReadStream(file, { highWaterMark: 1024 * 1024, signal })) {
      const bytes = chunk as Buffer;
      digest.update(bytes);
      size += bytes.length;
    }
  } catch (error) {
    // The stream's own AbortError does not say who interrupted.
    signal.throwIfAborted();
    throw error;
  }
  return { sha256: digest.digest('hex'), size };
};

const walk: Archives['walk'] = async (root, signal) => {
  const entries: TreeEntry[] = [];
  const visit = async (relative: string): Promise<void> => {
    const full = relative === '.' ? root : path.join(root, relative);
    const status = readStatus(full);
    const target = status.type === 'symlink' ? { target: fs.readlinkSync(full) } : {};
    entries.push({ path: relative, status, ...target });
    if (status.type !== 'directory') return;
    // Synchronous calls are several times faster here; setImmediate between folders lets signals be handled.
    await setImmediate();
    signal.throwIfAborted();
    for (const name of fs.readdirSync(full).sort()) {
      // Node puts U+FFFD into a name that is not UTF-8, and the changed name does not exist.
      if (name.includes('\uFFFD') && !fs.existsSync(path.join(full, name)))
        throw new OperationError(`a name in ${full} is not UTF-8: ${name}`, {
          hint: 'rename it, or take a tarball of the folder, which may have any names',
        });
      await visit(relative === '.' ? name : `${relative}/${name}`);
    }
  };
  await visit('.');
  return entries;
};

const read: Archives['read'] = async (file, offset, length) => {
  // Synchronous: a closure reads a few headers of many files, each within microseconds.
  const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const buffer = Buffer.allocUnsafe(length);
    return buffer.subarray(0, fs.readSync(fd, buffer, 0, length, offset));
  } finally {
    fs.closeSync(fd);
  }
};

const sync: Archives['sync'] = async (folder) => {
  // syncfs(2), which Node lacks: one call instead of an fsync for every file of a layer.
  await promisify(execFile)('sync', ['--file-system', folder]);
};
