// logs: what the process wrote to stdout and stderr, each to the same stream here.
import { readContainerState } from '../runtime/container-state.ts';
import type { LogPiece } from '../runtime/log-lines.ts';
import { readLog } from '../runtime/read-log.ts';
import { EXIT, type CommandContext } from './context.ts';
import { findProcess } from './exec.ts';

export interface LogsOptions {
  readonly follow: boolean;
  readonly tail?: number;
  readonly timestamps: boolean;
}

export async function logs(context: CommandContext, name: string, options: LogsOptions): Promise<number> {
  const { host, signal, unread } = context;
  const { log, records } = await findProcess(context, name);
  const errors = createLineJoiner(context.stderr);
  await readLog(host, log, {
    follow: options.follow,
    ...(options.tail === undefined ? {} : { tail: options.tail }),
    signal: AbortSignal.any([signal, unread.stdout, unread.stderr]),
    hasEnded: async () => (await readContainerState(host, records)).status !== 'running',
    onPiece: (piece) => {
      const text = `${options.timestamps && piece.starts ? `${piece.time} ` : ''}${piece.text}${piece.ends ? '\n' : ''}`;
      if (piece.stream === 'stdout') context.stdout(text);
      else errors.push(text);
    },
  });
  errors.flush();
  return EXIT.done;
}

/** stderr takes lines only; a piece without an end waits for it. */
function createLineJoiner(write: (line: string) => void): {
  push(text: LogPiece['text']): void;
  flush(): void;
} {
  let open = '';
  return {
    push(text) {
      const lines = `${open}${text}`.split('\n');
      open = lines.pop() ?? '';
      lines.forEach(write);
    },
    flush() {
      if (open !== '') write(open);
      open = '';
    },
  };
}
