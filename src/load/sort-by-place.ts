// Diagnostics in the order in which people read the texts.
import type { Diagnostic } from '../errors.ts';
import type { SourceText } from './read-sources.ts';

export function sortByPlace(
  diagnostics: readonly Diagnostic[],
  sources: readonly SourceText[],
): readonly Diagnostic[] {
  const order = new Map(sources.map(({ file }, index) => [file, index]));
  const fileOf = (diagnostic: Diagnostic): number => order.get(diagnostic.file ?? '') ?? 0;
  const offsetOf = (diagnostic: Diagnostic): number => diagnostic.range?.start.offset ?? 0;
  return diagnostics.toSorted((a, b) => fileOf(a) - fileOf(b) || offsetOf(a) - offsetOf(b));
}
