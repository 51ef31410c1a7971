// Inspection of archives: decides which are taken, on the stream that GNU tar unpacks at the same time into a hidden
// folder. Nothing of a refused archive becomes visible.
import { OperationError } from '../errors.ts';
import type { ArchiveLimits } from '../host/archive-limits.ts';
import type { TarInspector } from '../host/archives.ts';
import { checkEntry, type EntryRules } from './check-entry.ts';
import { TarReader } from './read-tar.ts';
import { BLOCK, refuse } from './tar-header.ts';
import { LayerContents, type LayerFolders } from './whiteouts.ts';

export interface TarSummary {
  readonly entries: number;
  readonly bytes: number;
}

export interface LayerSummary extends TarSummary {
  readonly folders: LayerFolders;
}

const BOMB = 'this looks like an archive bomb; if it is none, allow more with --archive-limits';
const END = Buffer.alloc(2 * BLOCK);

/** Inspector for copies of trees of this machine: names hold no whiteouts, and nothing is compressed. */
export function createTreeInspector(
  limits: ArchiveLimits,
  rules: EntryRules = { devices: false, ofFolder: true },
): TarInspector & { summary(): TarSummary } {
  return inspectEntries({ ...limits, ratio: Infinity }, undefined, rules);
}

/** Inspector for archives, each of which is a layer: their whiteouts become those of overlayfs. */
export function createLayerInspector(
  limits: ArchiveLimits,
  rules: EntryRules = { devices: true },
): TarInspector & { summary(): LayerSummary } {
  const contents = new LayerContents();
  const inspector = inspectEntries(limits, contents, rules);
  let folders: LayerFolders = { implied: [], whiteouts: [], opaque: [], opaqueRoot: false };
  return {
    write: inspector.write,
    end() {
      const end = inspector.end();
      const last = contents.finish();
      folders = last.folders;
      return [last.entries, ...end];
    },
    summary: () => ({ ...inspector.summary(), folders }),
  };
}

function inspectEntries(
  limits: ArchiveLimits,
  contents: LayerContents | undefined,
  rules: EntryRules,
): TarInspector & { summary(): TarSummary } {
  const links = new Set<string>();
  let entries = 0;
  let bytes = 0;
  let seen = 0;
  const reader = new TarReader((entry) => {
    const path = checkEntry(entry, links, rules);
    entries += 1;
    bytes += entry.claims;
    if (entries > limits.entries) throw refuse(`it has more than ${limits.entries} entries`, BOMB);
    if (bytes > limits.bytes) {
      throw refuse(`its files claim ${bytes} bytes, over the limit of ${limits.bytes}`, BOMB);
    }
    return contents?.add(path, entry) === true ? 'drop' : 'keep';
  });
  return {
    write(chunk, compressed) {
      seen += chunk.length;
      checkSize(limits, seen, compressed);
      return reader.write(chunk);
    },
    end() {
      reader.end();
      return [END];
    },
    summary: () => ({ entries, bytes }),
  };
}

/**
 * @param seen bytes of an archive, unpacked from `compressed` ones.
 * @throws OperationError when they are too many.
 */
export function checkSize(limits: ArchiveLimits, seen: number, compressed: number): void {
  if (seen > limits.ratioFrom && seen > compressed * limits.ratio)
    throw refuse(`it unpacks to more than ${limits.ratio} times its size`, BOMB);
  // Headers and padding are not counted as content, but they cannot go on for ever either.
  if (seen > limits.bytes + limits.entries * BLOCK * 4) throw refuse('it is too large', BOMB);
}

/** Puts the name of the archive before the message of a refusal or of a system error; other errors stay as they are. */
export function nameArchive(error: unknown, source: string): unknown {
  if (isSystemError(error)) return new OperationError(`${source}: ${error.message}`, { cause: error });
  if (!(error instanceof OperationError)) return error;
  const { hint, command, cleanup } = error;
  return new OperationError(`${source}: ${error.message}`, { hint, command, cleanup, cause: error.cause });
}

/** An error that says what the kernel answered, as in `ELOOP: too many symbolic links encountered`. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.message.startsWith(`${String(error.code)}: `);
}
