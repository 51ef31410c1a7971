// Writing a log in conmon's k8s-file format, for a process that has no conmon.
import type { Host } from '../host/host.ts';

export interface LogEntries {
  /** Resolves when the chunk is in the file; a writer that waits cannot outrun the disk. */
  write(stream: 'stdout' | 'stderr', chunk: Buffer): Promise<void>;
}

export function createLogEntries(host: Host, path: string): LogEntries {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  return {
    async write(stream, chunk) {
      const time = new Date(host.now()).toISOString().replace(/\.(\d{3})Z$/, '.$1000000+00:00');
      const lines = decoders[stream].decode(chunk, { stream: true }).split('\n');
      const rest = lines.pop() ?? '';
      const full = lines.map((line) => `${time} ${stream} F ${line}\n`).join('');
      const text = rest === '' ? full : `${full}${time} ${stream} P ${rest}\n`;
      if (text !== '') await host.append(path, text);
    },
  };
}
