// Writing a log in conmon's k8s-file format, for a process that has no conmon.
import type { Host } from '../host/host.ts';

export interface LogEntries {
  /** Resolves when the kernel has the chunk; a writer that waits cannot outrun the disk. */
  write(stream: 'stdout' | 'stderr', chunk: Buffer): Promise<void>;
}

const NEWLINE = 0x0a;

/** Lines are bytes: a process may write what no encoding knows. */
export function createLogEntries(host: Host, path: string): LogEntries {
  return {
    async write(stream, chunk) {
      const time = new Date(host.now()).toISOString().replace(/\.(\d{3})Z$/, '.$1000000+00:00');
      const entries: Buffer[] = [];
      for (let at = 0; at < chunk.length;) {
        const newline = chunk.indexOf(NEWLINE, at);
        const end = newline === -1 ? chunk.length : newline;
        const mark = newline === -1 ? 'P' : 'F';
        entries.push(Buffer.from(`${time} ${stream} ${mark} `), chunk.subarray(at, end), Buffer.from('\n'));
        at = end + 1;
      }
      // The log goes with the container, so it is not synced: a power cut may take it sooner.
      if (entries.length > 0) await host.append(path, Buffer.concat(entries), { sync: false });
    },
  };
}
