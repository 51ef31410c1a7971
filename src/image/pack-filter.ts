// Makes an archive of GNU tar's stream: entries under their own names, in canonical headers, with what an image
// may carry of their attributes; overlayfs's ways of deleting become those of the OCI image spec (layer.md).
import { OperationError } from '../errors.ts';
import type { ByteString, LayerPath, TarFilter } from '../host/packing.ts';
import { mayCarryAttribute, padding } from './pax.ts';
import { joinBytes } from './layer-stack.ts';
import { trimTime, type Planned } from './plan-packing.ts';
import { PackedReader, type PackedEntry } from './read-packed.ts';
import { printable } from './tar-header.ts';
import { EMPTY, endOfArchive, writeTarHeader } from './write-tar.ts';

export interface PackSummary {
  readonly entries: number;
  /** Whole seconds of the latest entry; 0 without any. */
  readonly newest: number;
}

export interface LayerArchive {
  /** Entries for GNU tar to read; the plan runs ahead of the stream by no more than a few names. */
  readonly entries: Iterable<LayerPath>;
  readonly filter: TarFilter;
  summary(): PackSummary;
}

/** @param latest seconds; later times are cut down to it. */
export function archiveOf(plan: Iterable<Planned>, latest: number | undefined): LayerArchive {
  const waiting: Planned[] = [];
  let out: Buffer[] = [];
  let size = 0;
  let missing = 0;
  let entries = 0;
  let newest = 0;
  const put = (entry: PackedEntry): void => {
    entries += 1;
    out.push(writeTarHeader(entry));
    size = missing = entry.size;
  };
  const putWhiteout = (folder: ByteString, name: ByteString): void => {
    put({ ...EMPTY, name: joinBytes(folder, name === '' ? '.wh..wh..opq' : `.wh.${name}`) });
  };
  /** Writes the deletions before the next entry, and returns that entry. */
  const flush = (): Extract<Planned, { kind: 'entry' }> | undefined => {
    for (;;) {
      const next = waiting.shift();
      if (next?.kind !== 'whiteout') return next;
      putWhiteout(next.folder, next.name);
    }
  };
  const reader = new PackedReader({
    entry(found) {
      const planned = flush();
      const path = plainName(found.name);
      if (planned?.path !== path) throw changed(path);
      const mtime = limit(planned.mtime ?? found.mtime, latest);
      newest = Math.max(newest, Math.floor(Number(mtime)));
      put(canonical(found, path, mtime));
      // An opaque folder matters only above another; the kernel marks most new folders so.
      if (planned.merges && found.xattrs.get('trusted.overlay.opaque') === 'y') putWhiteout(path, '');
    },
    data(chunk) {
      out.push(chunk);
      missing -= chunk.length;
      if (missing === 0) out.push(padding(size));
    },
  });
  const take = (): readonly Buffer[] => {
    const taken = out;
    out = [];
    return taken;
  };
  return {
    entries: announce(plan, waiting),
    filter: {
      write(chunk) {
        reader.write(chunk);
        return take();
      },
      end() {
        const left = flush();
        if (left !== undefined || missing > 0) throw changed(left?.path ?? '');
        out.push(endOfArchive());
        return take();
      },
    },
    summary: () => ({ entries, newest }),
  };
}

function* announce(plan: Iterable<Planned>, waiting: Planned[]): Generator<LayerPath> {
  for (const planned of plan) {
    waiting.push(planned);
    if (planned.kind === 'entry') yield planned;
  }
}

/** Path of an entry: GNU tar names entries as it was told, `./a/b`, and puts a slash behind folders. */
function plainName(name: ByteString): ByteString {
  return name.replace(/^\.\//, '').replace(/\/$/, '');
}

function canonical(found: PackedEntry, path: ByteString, mtime: string): PackedEntry {
  const { type, link } = found;
  const xattrs = [...found.xattrs].filter(([name]) => mayCarryAttribute(name));
  return {
    ...found,
    name: type === '5' ? `${path === '' ? '.' : path}/` : path,
    link: type === '1' ? plainName(link) : link,
    mtime,
    // A hard link has the attributes that the file's first name came with.
    xattrs: new Map(type === '1' ? [] : xattrs),
  };
}

function limit(mtime: string, latest: number | undefined): string {
  return latest !== undefined && Number(mtime) > latest ? String(latest) : trimTime(mtime);
}

function changed(path: ByteString): OperationError {
  return new OperationError(`${printable(`/${path}`)} changed while it was read`, {
    hint: 'something outside of the container writes to its files; try again when it has ended',
  });
}
