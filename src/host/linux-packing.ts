// The real Packing: Node's synchronous calls on byte paths, GNU tar for contents and extended attributes (which
// Node cannot read), GNU gzip.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { OperationError } from '../errors.ts';
import { except, hasCode } from './linux-errno.ts';
import { CHUNK, feed, sink, tap, together } from './linux-feed.ts';
import { typeOf } from './linux-files.ts';
import { rootName, startCompressing, startReading, type Filter } from './linux-tar.ts';
import type { LayerEntry, LayerName, LayerPath, PackTarget, Packing, Selection } from './packing.ts';

const { O_WRONLY, O_CREAT, O_NOFOLLOW } = fs.constants;
/** Bytes of names written to tar at a time. */
const PIECE = 16_384;
/** Bytes that a message shows of a path that is too long. */
const SHOWN_BYTES = 60;
const MISSING = ['ENOENT', 'ENOTDIR'] as const;

const write = promisify(fs.write);

export function createLinuxPacking(): Packing {
  const mask = process.umask(0o077);
  process.umask(mask);
  return { list, status, read, pack, writeAt, cut: fs.promises.truncate, fileMode: 0o666 & ~mask };
}

function bytesOf(root: string, path: string): Buffer {
  return path === ''
    ? Buffer.from(root)
    : Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}

const list: Packing['list'] = (root, path) => {
  const folder = bytesOf(root, path);
  const found = lookAt(root, path, () => fs.readdirSync(folder, { withFileTypes: true, encoding: 'buffer' }));
  return found
    ?.map((entry): LayerName => {
      const name = entry.name.toString('latin1');
      const type = typeOf(entry);
      if (type !== 'character') return { name, type };
      return { name, type: status(root, path === '' ? name : `${path}/${name}`)?.type ?? type };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
};

const status: Packing['status'] = (root, path) => {
  const file = bytesOf(root, path);
  const found = lookAt(root, path, () => fs.lstatSync(file, { bigint: true }));
  return found === undefined ? undefined : describe(file, found);
};

function lookAt<T>(root: string, path: string, look: () => T): T | undefined {
  try {
    return except(look, undefined, ...MISSING);
  } catch (cause) {
    if (!hasCode(cause, 'ENAMETOOLONG')) throw cause;
    const start = Buffer.from(path.slice(0, SHOWN_BYTES), 'latin1').toString('utf8');
    throw new OperationError(
      `there are folders in folders beyond what a path below ${root} can name: ${start}…`,
      {
        cause,
        hint: 'a path has at most 4096 bytes: no image can hold these; remove them in the container',
      },
    );
  }
}

function describe(file: Buffer, found: fs.BigIntStats): LayerEntry {
  const type = typeOf(found);
  const isDevice = type === 'block' || type === 'character';
  return {
    type: type === 'character' && found.rdev === 0n ? 'whiteout' : type,
    mode: Number(found.mode & 0o7777n),
    uid: Number(found.uid),
    gid: Number(found.gid),
    size: Number(found.size),
    mtimeNs: String(found.mtimeNs),
    ...(isDevice ? { device: Number(found.rdev) } : {}),
    ...(type === 'symlink' ? { target: fs.readlinkSync(file, 'latin1') } : {}),
  };
}

const read: Packing['read'] = (selection, take, signal) =>
  readEntries(selection, 'files', signal, (tar, own) =>
    pipeline(
      tar.stdout,
      new Writable({
        highWaterMark: CHUNK,
        write(chunk: Buffer, _encoding, done) {
          settle(done, () => take(chunk));
        },
      }),
      { signal: own },
    ),
  );

const pack: Packing['pack'] = async (selection, filter, target, signal) => {
  const content = createHash('sha256');
  const stored = createHash('sha256');
  let size = 0;
  const filtered = new Transform({
    highWaterMark: CHUNK,
    transform(chunk: Buffer, _encoding, done) {
      settle(done, () => filter.write(chunk).forEach((piece) => this.push(piece)));
    },
    flush(done) {
      settle(done, () => filter.end().forEach((piece) => this.push(piece)));
    },
  });
  const hashed = tap((chunk) => content.update(chunk));
  const counted = tap((chunk) => {
    stored.update(chunk);
    size += chunk.length;
  });
  const file = openTarget(target);
  // Failure to write the target, such as a full disk. The programs before it report only the closed pipe, which
  // explains nothing.
  let unwritten: unknown;
  const writer = writeTo(file, target);
  const keep = async (source: AsyncIterable<Buffer>): Promise<void> => {
    await writer(source).catch((error: unknown) => {
      unwritten = error;
      throw error;
    });
  };
  try {
    await readEntries(selection, 'names', signal, async (tar, own, start) => {
      if (!target.compress) {
        await pipeline(tar.stdout, filtered, hashed, counted, keep, { signal: own });
        return;
      }
      const gzip = start(startCompressing());
      await together(own, [
        (either) => pipeline(tar.stdout, filtered, hashed, sink(gzip), { signal: either }),
        (either) => pipeline(gzip.stdout, counted, keep, { signal: either }),
      ]);
    });
  } catch (error) {
    throw unwritten instanceof OperationError ? unwritten : error;
  } finally {
    fs.closeSync(file);
  }
  return { content: content.digest('hex'), stored: stored.digest('hex'), size };
};

async function readEntries(
  { roots, entries }: Selection,
  links: 'names' | 'files',
  signal: AbortSignal,
  receive: (tar: Filter, signal: AbortSignal, start: (filter: Filter) => Filter) => Promise<unknown>,
): Promise<void> {
  await feed(signal, 'cannot read the files of the container', (own, start) => {
    const tar = start(startReading(roots, links));
    const names = Readable.from(writeNames(roots, entries), { objectMode: false });
    return together(own, [
      (either) => pipeline(names, sink(tar), { signal: either }),
      (either) => receive(tar, either, start),
    ]);
  });
}

/** Names for GNU tar, in pieces: it reads on as it needs more, so that the list is never held as a whole. */
function* writeNames(roots: readonly string[], entries: Iterable<LayerPath>): Generator<Buffer> {
  let text = '';
  let at: string | undefined;
  for (const { root, path } of entries) {
    if (root !== at) text += `${rootName(roots.indexOf(root))}\0`;
    at = root;
    // `./` because a bare name could be taken for an option.
    text += path === '' ? '.\0' : `./${path}\0`;
    if (text.length < PIECE) continue;
    yield Buffer.from(text, 'latin1');
    text = '';
  }
  yield Buffer.from(text, 'latin1');
}

function openTarget({ file, offset }: PackTarget): number {
  const fd = fs.openSync(file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600);
  fs.ftruncateSync(fd, offset);
  return fd;
}

function writeTo(fd: number, { file, offset }: PackTarget): (source: AsyncIterable<Buffer>) => Promise<void> {
  return async (source) => {
    let at = offset;
    for await (const chunk of source) {
      await writeAll(fd, file, chunk, at);
      at += chunk.length;
    }
  };
}

const writeAt: Packing['writeAt'] = async (file, offset, bytes) => {
  const fd = fs.openSync(file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    await writeAll(fd, file, bytes, offset);
  } finally {
    fs.closeSync(fd);
  }
};

async function writeAll(fd: number, file: string, bytes: Buffer, offset: number): Promise<void> {
  try {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await write(fd, bytes, done, bytes.length - done, offset + done);
      done += bytesWritten;
    }
  } catch (cause) {
    if (!hasCode(cause, 'ENOSPC', 'EDQUOT')) throw cause;
    throw new OperationError(`no space left on the disk for ${file}`, {
      cause,
      hint: 'free some space there, or choose another place',
    });
  }
}

function settle(done: (error?: Error) => void, action: () => void): void {
  try {
    action();
  } catch (error) {
    done(error as Error);
    return;
  }
  done();
}
