// Whether a container's process runs, or how it ended, from its records and the kernel. Reads only.
import type { Host } from '../host/host.ts';
import { RECORD_FILES } from '../plan/container-folder.ts';
import { type ProcessIdentity, isAlive, isDoomed, readBootId, waitUntil } from './proc.ts';
import { type ProcessFile, readProcessFile } from './process-file.ts';

export type ContainerState =
  | {
      readonly status: 'running';
      readonly pid: number;
      readonly startTime: string;
      /** Milliseconds since the epoch, here and below. */
      readonly startedAt: number;
      /** False when conmon was killed: nobody keeps the log and the exit status any more. */
      readonly monitored: boolean;
    }
  | {
      /** It was killed, or its exit has begun, and something keeps it from going: it will not run again. */
      readonly status: 'ending';
      readonly pid: number;
      readonly startedAt: number;
    }
  | {
      readonly status: 'exited';
      /** 128 + the signal's number for a signal; undefined when nobody was there to see it. */
      readonly exitStatus: number | undefined;
      /** Whether the kernel's OOM killer ended the process. */
      readonly oom: boolean;
      readonly startedAt: number;
      readonly finishedAt: number | undefined;
    }
  | { readonly status: 'absent' };

const EXIT_FILE_MS = 2000;

/** conmon writes the exit status a moment after the process is gone, when the last output is in the log. */
export async function awaitExitFile(host: Host, records: string, monitor: ProcessIdentity): Promise<void> {
  const exit = `${records}/${RECORD_FILES.exit}`;
  await waitUntil(
    host,
    EXIT_FILE_MS,
    async () => (await host.status(exit)) !== undefined || !(await isAlive(host, monitor)),
  );
}

export async function readContainerState(host: Host, records: string): Promise<ContainerState> {
  const record = await readProcessFile(host, records);
  if (record === undefined) return { status: 'absent' };
  const { startedAt } = record;
  const sameBoot = record.bootId === (await readBootId(host));
  if (sameBoot && (await isAlive(host, record.init))) {
    const { pid } = record.init;
    if (await isDoomed(host, pid)) return { status: 'ending', pid, startedAt };
    const monitored = record.monitor === undefined || (await isAlive(host, record.monitor));
    return { status: 'running', ...record.init, startedAt, monitored };
  }
  const exit = `${records}/${RECORD_FILES.exit}`;
  const { monitor } = record;
  if (sameBoot && monitor !== undefined) await awaitExitFile(host, records, monitor);
  const text = (await host.readText(exit))?.trim();
  const written = text === undefined ? undefined : await host.status(exit);
  const exitStatus = text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
  return {
    status: 'exited',
    exitStatus,
    // A process that ended well was not ended by the OOM killer, whatever happened to its children.
    oom: exitStatus !== 0 && (await sawOom(host, records, record, sameBoot)),
    startedAt,
    finishedAt: written === undefined ? undefined : Math.floor(Number(written.mtimeNs) / 1e6),
  };
}

/** `ended with status 7`, for a sentence. */
export function describeEnd({ exitStatus, oom }: Extract<ContainerState, { status: 'exited' }>): string {
  const status =
    exitStatus === undefined ? 'ended with a status that nobody saw' : `ended with status ${exitStatus}`;
  return oom ? `${status}, out of memory` : status;
}

async function sawOom(host: Host, records: string, record: ProcessFile, sameBoot: boolean): Promise<boolean> {
  // conmon's mark lasts longer than the cgroup; the kernel's counter is there even when conmon missed the event.
  if ((await host.status(`${records}/${RECORD_FILES.oom}`)) !== undefined) return true;
  if (!sameBoot || record.oom === undefined) return false;
  return (await readOomKills(host, record.oom.file)) > record.oom.kills;
}

/** The line `oom_kill N` of v1's memory.oom_control and v2's memory.events. */
export async function readOomKills(host: Host, file: string): Promise<number> {
  return Number(/^oom_kill (\d+)$/m.exec((await host.readText(file)) ?? '')?.[1] ?? 0);
}
