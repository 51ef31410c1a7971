// A generated file. One that is bind-mounted into a running container is rewritten in place, so that
// the container sees the new text through the same inode.
import type { Op } from './op.ts';
import { hereDocument, quote } from './shell.ts';

export const file: Op<'file'> = {
  describe: (step) => `file ${step.path}`,

  async probe({ host }, step) {
    const found = await host.status(step.path);
    if (found === undefined) return { state: 'absent' };
    if (found.type !== 'file') {
      return {
        state: 'drifted',
        inPlace: false,
        differences: [{ property: 'type', wanted: 'file', found: found.type }],
      };
    }
    // The container can write a file that is mounted into it: it may have any text, of any size.
    const isWorthReading = found.size <= Buffer.byteLength(step.text) + MORE;
    const text = isWorthReading ? ((await host.readText(step.path)) ?? '') : `${found.size} bytes`;
    const content = isWorthReading ? compare(step.text, text) : { wanted: summarize(step.text), found: text };
    const differences = [
      ...(isWorthReading && text === step.text ? [] : [{ property: 'content', ...content }]),
      // A server in the container that is not root reads /etc/hosts by its mode.
      ...(found.mode === step.mode
        ? []
        : [{ property: 'mode', wanted: step.mode.toString(8), found: found.mode.toString(8) }]),
    ];
    return differences.length === 0 ? { state: 'present' } : { state: 'drifted', inPlace: true, differences };
  },

  async apply({ host }, step) {
    await host.writeAtomic(step.path, step.text, { mode: step.mode, sync: false });
  },

  async update({ host }, step) {
    if (step.inPlace) {
      await host.writeInPlace(step.path, step.text);
      await host.setMode(step.path, step.mode);
    } else await host.writeAtomic(step.path, step.text, { mode: step.mode, sync: false });
  },

  async revert({ host }, step) {
    return { outcome: (await host.removeFile(step.path)) ? 'removed' : 'gone' };
  },

  toShell: (step) => [
    ...hereDocument(['tee', step.path], step.text).map((line, index) =>
      index === 0 ? `${line} >/dev/null` : line,
    ),
    `chmod ${step.mode.toString(8)} ${quote(step.path)}`,
  ],
};

/** Bytes: a file that is longer than ours by more than this is not read. */
const MORE = 65_536;

/** Describes both texts without the lines that they both begin or end with. */
function compare(wanted: string, found: string): { readonly wanted: string; readonly found: string } {
  const [ours, theirs] = [wanted.split('\n'), found.split('\n')];
  while (ours.length > 0 && theirs.length > 0 && ours[0] === theirs[0]) {
    ours.shift();
    theirs.shift();
  }
  while (ours.length > 0 && theirs.length > 0 && ours.at(-1) === theirs.at(-1)) {
    ours.pop();
    theirs.pop();
  }
  const show = (lines: readonly string[]): string => summarize(lines.join('\n')) || 'nothing';
  const shown = { wanted: show(ours), found: show(theirs) };
  if (shown.wanted !== shown.found) return shown;
  // The texts differ in white space only, or past what is shown of a long line.
  const exact = (text: string): string => JSON.stringify(text.slice(-60));
  return { wanted: exact(wanted), found: exact(found) };
}

function summarize(text: string): string {
  const oneLine = text.trim().replaceAll('\n', ' | ').replaceAll('\t', ' ').replaceAll(/\p{C}/gu, '?');
  return oneLine.length > 60 ? `${oneLine.slice(0, 57)}...` : oneLine;
}
