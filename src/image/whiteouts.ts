// Whiteouts: the deletions of a layer, in the form that overlayfs understands. An archive has them as names (OCI image
// spec, layer.md): `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` all that they have in its folder. Neither
// hides what its own layer adds, wherever in the archive that stands, so the deletions are known only at the end.
import { isUtf8 } from 'node:buffer';
import { NameLog } from './name-log.ts';
import { writeFolder, writeWhiteout, xattrsOf, type Attributes } from './pax.ts';
import type { TarEntry } from './read-tar.ts';
import { printable, readAttributes, refuse } from './tar-header.ts';

const PREFIX = '.wh.';
const OPAQUE = '.wh..wh..opq';
const OPAQUE_XATTR = ['trusted.overlay.opaque', 'y'] as const;

/** Attributes of a folder that an archive uses but does not list. */
const IMPLIED: Attributes = { mode: 0o755, uid: '0', gid: '0', mtime: '0', xattrs: new Map() };

/** Paths as text: folders whose names are not UTF-8 are missing here, as nothing in runspec can name them. */
export interface LayerFolders {
  /**
   * Folders made because something lies in them: their attributes are those of the layers below, if those have them.
   */
  readonly implied: readonly string[];
  /** Folders with whiteouts, which the kernel leaves in its listings when no layer below has the folder too. */
  readonly whiteouts: readonly string[];
  /** Folders that hide what the layers below have there. */
  readonly opaque: readonly string[];
  /** True when the layer hides all layers below it: the kernel does not look for the mark on a layer's root. */
  readonly opaqueRoot: boolean;
}

/** Follows the entries of one layer. Paths are plain: relative, `''` for the root. */
export class LayerContents {
  readonly #folders = new Map<string, Attributes>();
  /** Entries that are no folders, as they came; a name that became a folder later is in #folders. */
  readonly #others = new NameLog();
  readonly #whiteouts = new Set<string>();
  readonly #opaque = new Set<string>();

  /** Records an entry. True when it is a whiteout, which GNU tar must not see. */
  add(path: string, entry: TarEntry): boolean {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const folder = parentOf(path);
    if (name.startsWith(PREFIX)) {
      this.#addWhiteout(path, folder, name);
      return true;
    }
    if (path !== '') this.#imply(folder);
    if (entry.type === '5') {
      this.#folders.set(path, attributesOf(entry));
    } else {
      this.#folders.delete(path);
      this.#others.add(path);
    }
    return false;
  }

  #addWhiteout(path: string, folder: string, name: string): void {
    if (name === OPAQUE) {
      this.#opaque.add(folder);
      return;
    }
    const hidden = name.slice(PREFIX.length);
    if (hidden === '' || hidden === '.' || hidden === '..') {
      throw refuse(`${printable(path)} is a whiteout of nothing`);
    }
    // Notes of AUFS to itself, as in `.wh..wh.plnk`: no file of an image has such a name.
    if (hidden.startsWith(PREFIX)) return;
    this.#whiteouts.add(folder === '' ? hidden : `${folder}/${hidden}`);
  }

  #imply(folder: string): void {
    for (let path = folder; path !== '' && !this.#folders.has(path); path = parentOf(path)) {
      this.#folders.set(path, IMPLIED);
    }
  }

  /** Entries to unpack after all others, and what they cannot express. */
  finish(): { readonly entries: Buffer; readonly folders: LayerFolders } {
    // A folder that is deleted and made again hides what it was: it is opaque.
    for (const path of this.#whiteouts) if (this.#folders.has(path)) this.#opaque.add(path);
    const opaqueRoot = this.#opaque.delete('');
    const others = this.#findOthers();
    const opaque = [...this.#opaque].filter((path) => !others.has(path) && !this.#isHidden(path, others));
    const whiteouts = [...this.#whiteouts].filter(
      (path) => !this.#folders.has(path) && !others.has(path) && !this.#isHidden(path, others),
    );
    if (opaqueRoot) opaque.length = whiteouts.length = 0;
    for (const path of opaque) this.#imply(path);
    for (const path of whiteouts) this.#imply(parentOf(path));
    const hides = new Set(opaque);
    const folders = [...this.#folders]
      .filter(([path, one]) => one === IMPLIED || hides.has(path))
      .toSorted(([a], [b]) => compare(a, b));
    return {
      entries: Buffer.concat([
        ...folders.map(([path, one]) => writeFolder(path, hides.has(path) ? withOpaque(one) : one)),
        ...whiteouts.toSorted(compare).map(writeWhiteout),
      ]),
      folders: {
        implied: folders.flatMap(([path, one]) => (one === IMPLIED ? textOf(path) : [])),
        whiteouts: [...new Set(whiteouts.map(parentOf))].filter((path) => path !== '').flatMap(textOf),
        opaque: opaque.toSorted(compare).flatMap(textOf),
        opaqueRoot,
      },
    };
  }

  /** Deleted paths, and folders on the way to them, that the layer has as something other than a folder. */
  #findOthers(): ReadonlySet<string> {
    const asked = new Set<string>();
    for (const path of [...this.#whiteouts, ...this.#opaque]) {
      for (let one = path; one !== '' && !asked.has(one); one = parentOf(one)) asked.add(one);
    }
    const found = this.#others.find(asked);
    return new Set([...found].filter((path) => !this.#folders.has(path)));
  }

  /** Whether something above `path` already hides all that the layers below have there. */
  #isHidden(path: string, others: ReadonlySet<string>): boolean {
    for (let folder = path; folder !== '';) {
      folder = parentOf(folder);
      if (this.#opaque.has(folder) || others.has(folder)) return true;
      if (this.#whiteouts.has(folder) && !this.#folders.has(folder)) return true;
    }
    return false;
  }
}

function withOpaque(attributes: Attributes): Attributes {
  return { ...attributes, xattrs: new Map([...attributes.xattrs, OPAQUE_XATTR]) };
}

function attributesOf({ block, pax }: TarEntry): Attributes {
  const { mode, uid, gid, mtime } = readAttributes(block);
  return {
    mode,
    uid: pax.get('uid') ?? String(uid),
    gid: pax.get('gid') ?? String(gid),
    mtime: pax.get('mtime') ?? String(mtime),
    xattrs: xattrsOf(pax),
  };
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

function textOf(path: string): readonly string[] {
  const bytes = Buffer.from(path, 'latin1');
  return isUtf8(bytes) ? [bytes.toString('utf8')] : [];
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
