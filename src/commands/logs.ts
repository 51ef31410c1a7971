// logs: what the process wrote to stdout and stderr, each to the same stream here.
import { readContainerState } from '../runtime/container-state.ts';
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
  await readLog(host, log, {
    follow: options.follow,
    ...(options.tail === undefined ? {} : { tail: options.tail }),
    signal: AbortSignal.any([signal, unread.stdout, unread.stderr]),
    hasEnded: async () => ['exited', 'absent'].includes((await readContainerState(host, records)).status),
    onPiece: async (piece) => {
      const text = `${options.timestamps && piece.starts ? `${piece.time} ` : ''}${piece.text}${piece.ends ? '\n' : ''}`;
      // The text is passed on byte for byte: it may be in any encoding, or in none.
      const bytes = Buffer.from(text, 'latin1');
      await (piece.stream === 'stdout' ? context.stdoutBytes(bytes) : context.stderrBytes(bytes));
    },
  });
  return EXIT.done;
}
