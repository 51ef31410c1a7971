// A difference between two snapshots, as a line for people.
import type { SnapshotDifference } from '../host/snapshot.ts';
import { printable } from '../load/render-diagnostic.ts';
import { paint } from './paint.ts';

export function renderDifference(
  context: { readonly color: boolean },
  { class: kind, change, key, note }: SnapshotDifference,
): string {
  const mark = change === 'new' ? paint(context, 'red', '+') : paint(context, 'yellow', '-');
  return `${mark} ${kind.padEnd(10)} ${printable(`${key}${note === undefined ? '' : `  (${note})`}`)}`;
}
