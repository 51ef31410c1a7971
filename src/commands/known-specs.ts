// Remembers with a container what the text of its spec said when it was applied: reading that again takes 6 % of a
// second apply's time. Nothing depends on it: what is missing, or of another build, is read anew.
import { sha256 } from '../crypto.ts';
import type { LoadedSpec } from '../load/load.ts';
import type { SourceText } from '../load/read-sources.ts';
import type { Spec } from '../load/spec.ts';
import { seal, unseal } from '../run/seal.ts';
import { containerFolder, RECORD_FILES } from '../plan/container-folder.ts';
import type { CommandContext } from './context.ts';

/** A text that was read without any error or warning. */
export interface UnderstoodText {
  readonly source: SourceText;
  /** Specs of its documents, in their order. */
  readonly specs: readonly Spec[];
}

/** One spec of a text, as it is stored. */
interface KnownSpec {
  /** Hash of the text, of the folder that its paths start from, and of the program that has read it. */
  readonly key: string;
  /** Position among the specs of the text, and their number. */
  readonly index: number;
  readonly count: number;
  readonly spec: Spec;
}

type Place = Pick<CommandContext, 'host' | 'dataDir' | 'build'>;

/** Finds names in a text, roughly: the key then decides whether what is stored is of this text. */
const NAME = /(?:^|[\s{,])"?name"?\s*:\s*["']?([a-z0-9][a-z0-9-]*)/g;

const MANY = 100;

/** @returns undefined unless all texts are known: whether two contradict each other, only reading both shows. */
export async function recallSpecs(
  place: Place,
  sources: readonly SourceText[],
): Promise<readonly LoadedSpec[] | undefined> {
  const specs: LoadedSpec[] = [];
  const keys = new Set<string>();
  for (const source of sources) {
    const known = await recallText(place, source);
    // The same text twice has every name twice.
    if (known === undefined || keys.has(known.key)) return undefined;
    keys.add(known.key);
    let read: Promise<readonly LoadedSpec[]> | undefined;
    specs.push(
      ...known.specs.map((spec, index): LoadedSpec => ({
        spec,
        file: source.file,
        locate: async (path) => (await (read ??= readAnew(source)))[index]?.locate(path),
      })),
    );
  }
  return specs;
}

/** Reads the text for the places in it. The loader is a quarter of the program, and is loaded here for this only. */
async function readAnew(source: SourceText): Promise<readonly LoadedSpec[]> {
  const { load } = await import('../load/load.ts');
  return load([source]).specs;
}

async function recallText(
  place: Place,
  source: SourceText,
): Promise<{ readonly key: string; readonly specs: readonly Spec[] } | undefined> {
  // Different bytes can look the same in a text with a fault.
  if (source.fault !== undefined) return undefined;
  const names = new Set([...source.text.matchAll(NAME)].map((found) => found[1] ?? ''));
  if (names.size > MANY) return undefined;
  const stored = await Promise.all([...names].map((name) => readStored(place, name)));
  const found = stored.flatMap((one) => one ?? []);
  if (found.length === 0) return undefined;
  const key = keyOf(place, source);
  const known = found.filter((one) => one.key === key).toSorted((a, b) => a.index - b.index);
  return known.length > 0 && known.length === known[0]?.count
    ? { key, specs: known.map(({ spec }) => spec) }
    : undefined;
}

async function readStored(place: Place, name: string): Promise<KnownSpec | undefined> {
  try {
    const text = await place.host.readText(fileOf(place, name));
    return text === undefined ? undefined : ((unseal(text) as KnownSpec | null | undefined) ?? undefined);
  } catch {
    // A file that cannot be read is not what was stored.
    return undefined;
  }
}

/** Stores the spec of the container `name`, which has just been made to be as the text says. */
export async function rememberSpec(
  place: Place,
  { source, specs }: UnderstoodText,
  name: string,
): Promise<void> {
  const index = specs.findIndex((one) => one.name === name);
  const spec = specs[index];
  if (spec === undefined) return;
  const known: KnownSpec = { key: keyOf(place, source), index, count: specs.length, spec };
  try {
    await place.host.writeAtomic(fileOf(place, name), seal(known), { mode: 0o600, sync: false });
  } catch {
    // A failed write, as on a full disk, is no failure of the apply: the next one then reads the text.
  }
}

function fileOf({ dataDir }: Place, name: string): string {
  return `${containerFolder(dataDir, name)}/${RECORD_FILES.spec}`;
}

function keyOf({ build }: Place, { baseDir, text }: SourceText): string {
  return sha256(JSON.stringify([build, baseDir, text]));
}
