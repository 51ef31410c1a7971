// Whether the limits asked for can be set: lowering is free, raising a hard limit needs CAP_SYS_RESOURCE. Pure.
import { OperationError } from '../errors.ts';
import type { OciRlimit } from '../oci/runtime-spec.ts';

/** The rows of /proc/PID/limits. */
const ROWS: Readonly<Record<string, string>> = {
  RLIMIT_CPU: 'Max cpu time',
  RLIMIT_FSIZE: 'Max file size',
  RLIMIT_DATA: 'Max data size',
  RLIMIT_STACK: 'Max stack size',
  RLIMIT_CORE: 'Max core file size',
  RLIMIT_RSS: 'Max resident set',
  RLIMIT_NPROC: 'Max processes',
  RLIMIT_NOFILE: 'Max open files',
  RLIMIT_MEMLOCK: 'Max locked memory',
  RLIMIT_AS: 'Max address space',
  RLIMIT_LOCKS: 'Max file locks',
  RLIMIT_SIGPENDING: 'Max pending signals',
  RLIMIT_MSGQUEUE: 'Max msgqueue size',
  RLIMIT_NICE: 'Max nice priority',
  RLIMIT_RTPRIO: 'Max realtime priority',
  RLIMIT_RTTIME: 'Max realtime timeout',
};

/** @param limits text of /proc/self/limits. */
export function checkRlimits(
  wanted: readonly OciRlimit[],
  limits: string,
  capabilities: readonly string[],
): void {
  if (capabilities.includes('CAP_SYS_RESOURCE')) return;
  for (const { type, hard } of wanted) {
    const row = limits.split('\n').find((line) => line.startsWith(`${ROWS[type] ?? type} `));
    const current = row
      ?.slice(ROWS[type]?.length ?? 0)
      .trim()
      .split(/\s+/)[1];
    if (current === undefined || current === 'unlimited' || hard <= Number(current)) continue;
    const name = type.replace('RLIMIT_', '').toLowerCase();
    throw new OperationError(
      `rlimit ${name} cannot be raised to ${hard}: the hard limit here is ${current}`,
      {
        path: ['process', 'rlimits', name],
        hint: `ask for at most ${current}, or run runspec with CAP_SYS_RESOURCE`,
      },
    );
  }
}
