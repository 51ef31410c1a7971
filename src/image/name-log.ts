// Log of the names of very many files, asked for a few of them at the end. Bytes in blocks instead of strings in a Set,
// which would take hundreds of megabytes for the largest layers. Pure.

const BLOCK_BYTES = 2 ** 18;
/** Bytes of a record: folder number, length, and NAME_MAX bytes of name. */
const RECORD_MAX = 5 + 255;

/** Names of one layer. Paths are byte strings (latin1) without a slash at either end. */
export class NameLog {
  readonly #numbers = new Map<string, number>();
  readonly #blocks: { readonly bytes: Buffer; length: number }[] = [];

  add(path: string): void {
    const [folder, name] = split(path);
    let number = this.#numbers.get(folder);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(folder, number);
    }
    let block = this.#blocks.at(-1);
    if (block === undefined || block.length + RECORD_MAX > BLOCK_BYTES) {
      block = { bytes: Buffer.allocUnsafe(BLOCK_BYTES), length: 0 };
      this.#blocks.push(block);
    }
    block.bytes.writeUInt32LE(number, block.length);
    block.bytes[block.length + 4] = name.length;
    block.bytes.write(name, block.length + 5, 'latin1');
    block.length += 5 + name.length;
  }

  /** The ones of `paths` that were added. */
  find(paths: Iterable<string>): ReadonlySet<string> {
    const wanted = new Map<number, Map<string, string>>();
    for (const path of paths) {
      const [folder, name] = split(path);
      const number = this.#numbers.get(folder);
      if (number === undefined) continue;
      wanted.set(number, (wanted.get(number) ?? new Map<string, string>()).set(name, path));
    }
    const found = new Set<string>();
    if (wanted.size === 0) return found;
    for (const { bytes, length } of this.#blocks) {
      for (let at = 0; at < length;) {
        const end = at + 5 + (bytes[at + 4] ?? 0);
        const names = wanted.get(bytes.readUInt32LE(at));
        const path = names?.get(bytes.toString('latin1', at + 5, end));
        if (path !== undefined) found.add(path);
        at = end;
      }
    }
    return found;
  }
}

function split(path: string): readonly [folder: string, name: string] {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? ['', path] : [path.slice(0, slash), path.slice(slash + 1)];
}
