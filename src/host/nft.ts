// Changes to nftables. Scripts that are asked for at the same time go to the kernel as one transaction:
// starting nft and committing costs more than any script of ours.
import { commandError } from './commands.ts';
import type { CommandResult, Host } from './host.ts';

interface Waiting {
  readonly script: string;
  resolve(result: CommandResult): void;
  reject(error: unknown): void;
}

/** Scripts for the transaction after the current one. */
const queues = new WeakMap<Host, Waiting[]>();

/** @throws OperationError when nft refuses the script. */
export async function runNft(host: Host, script: string): Promise<void> {
  const result = await tryNft(host, script);
  if (result.status !== 0)
    throw commandError(`nft refused a change: ${result.stderr.trim().split('\n')[0] ?? ''}`, result);
}

/** Commits a script whose refusal the caller understands, and returns nft's result. */
export async function tryNft(host: Host, script: string): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const waiting = { script, resolve, reject };
    const queue = queues.get(host);
    if (queue !== undefined) queue.push(waiting);
    else {
      queues.set(host, [waiting]);
      // Scripts that are asked for in the same turn of the event loop join the batch.
      setImmediate(() => void commitAll(host));
    }
  });
}

/** One transaction after the other, as a script may build on one that was asked for before it. */
async function commitAll(host: Host): Promise<void> {
  for (let batch = queues.get(host) ?? []; batch.length > 0; batch = queues.get(host) ?? []) {
    queues.set(host, []);
    await commit(host, batch);
  }
  queues.delete(host);
}

async function commit(host: Host, batch: readonly Waiting[]): Promise<void> {
  try {
    const together = await host.run(['nft', '-f', '-'], { stdin: batch.map((one) => one.script).join('') });
    if (together.status === 0 || batch.length === 1) {
      for (const one of batch) one.resolve(together);
      return;
    }
    // A transaction fails as a whole: run one by one, each caller gets its own answer.
    for (const one of batch) one.resolve(await host.run(['nft', '-f', '-'], { stdin: one.script }));
  } catch (error) {
    for (const one of batch) one.reject(error);
  }
}
