// conmon's k8s-file log: one entry a line, long lines in several entries. Pure.

export interface LogPiece {
  /** As conmon wrote it: RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  /** Whether the line begins with this piece, and whether it ends with it. */
  readonly starts: boolean;
  readonly ends: boolean;
}

export interface LogParser {
  /** Pieces of the entries that `chunk` completes. */
  push(chunk: string): readonly LogPiece[];
}

/** `TIME STREAM F|P TEXT`: P (partial) is continued by the stream's next entry, F (full) ends the line. */
const ENTRY = /^(\S+) (stdout|stderr) ([FP])(?: (.*))?$/s;

export function createLogParser(): LogParser {
  let rest = '';
  const open = new Set<string>();
  return {
    push(chunk) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      return lines.flatMap((line): readonly LogPiece[] => {
        const [, time = '', stream, mark, text = ''] = ENTRY.exec(line) ?? [];
        // A conmon that was killed while it wrote has left half an entry, with the next one right after it.
        if (stream !== 'stdout' && stream !== 'stderr') return [];
        const starts = !open.has(stream);
        const ends = mark === 'F';
        if (ends) open.delete(stream);
        else open.add(stream);
        return [{ time, stream, text, starts, ends }];
      });
    },
  };
}

/**
 * Bytes of a line that are kept. Of a longer line only the end is, at least half of that: a process may write without
 * ever ending a line.
 */
const LINE_BYTES = 4 * 2 ** 20;
/** Memory that a piece takes beside its text: a process that writes dot by dot makes a piece of each dot. */
const PIECE_BYTES = 128;

interface TailLine {
  readonly pieces: LogPiece[];
  bytes: number;
}

/** The last `count` lines of a log that is read from its beginning, in memory for that many only. */
export function createTail(count: number): { push(piece: LogPiece): void; pieces(): readonly LogPiece[] } {
  // Lines by their number: removing the first one of an array would move all others.
  const lines = new Map<number, TailLine>();
  let begun = 0;
  const open = new Map<string, TailLine>();
  return {
    push(piece) {
      if (count === 0) return;
      let line = piece.starts ? undefined : open.get(piece.stream);
      if (line === undefined) {
        line = { pieces: [], bytes: 0 };
        lines.set(begun, line);
        lines.delete(begun - count);
        begun += 1;
      }
      addTo(line, piece);
      if (piece.ends) open.delete(piece.stream);
      else open.set(piece.stream, line);
    },
    pieces: () => [...lines.values()].flatMap(({ pieces }) => pieces),
  };
}

function addTo(line: TailLine, piece: LogPiece): void {
  line.pieces.push(piece);
  line.bytes += sizeOf(piece);
  if (line.bytes <= LINE_BYTES) return;
  const dropped = line.pieces.splice(0, Math.ceil(line.pieces.length / 2));
  for (const one of dropped) line.bytes -= sizeOf(one);
}

function sizeOf({ text }: LogPiece): number {
  return text.length + PIECE_BYTES;
}
