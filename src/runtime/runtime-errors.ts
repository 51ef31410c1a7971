// The meaning of a runtime's or conmon's complaint for the person who reads it. Pure.
import { type FailedCommand, OperationError, type SpecPath } from '../errors.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { createLogParser } from './log-lines.ts';

/** Complaint of runc or crun about a parameter in the container's own /proc/sys. */
const SYSCTL = /\/proc\/sys\/([\w./-]+?)['`]?: /;

/** Complaint of runc or crun about a mount that they cannot make. */
const MOUNT = /to rootfs at "(\/[^"]+)"|(?:mount [`'][^`']*[`'] to [`']|open [`']\S*\/rootfs)\/?([^`']+)[`']/;

/** A working folder that is not there is made, where it can be. */
const NO_CWD = /error during container init: mkdir \/\S*: (?:read-only file system|not a directory)/;

/** E2BIG of execve(2): MAX_ARG_STRLEN of linux/binfmts.h for one string, which is 32 pages. */
export const TOO_LONG = /argument list too long/i;

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /\/proc\/sys\/.*: no such file/i,
    'this kernel has no such parameter, or not in a namespace; list them with: sysctl -a',
  ],
  [/\/proc\/sys\/.*: (?:invalid argument|numerical result)/i, 'the kernel does not take this value'],
  [
    /\/proc\/sys\/.*: (?:permission denied|operation not permitted)/i,
    'the kernel lets it be set for the whole machine only: on the host, with sysctl -w',
  ],
  [
    /\b(?:stat|open) \/dev\/\w+: (?:no such file|permission denied)/i,
    'something that is mounted on /dev hides the devices of the container; more of them are added with devices: [/dev/fuse]',
  ],
  [
    /mount_setattr|recursive.*(?:attr|mount)|MS_REC/i,
    'read-only binds that reach all the way down need Linux 5.12 or newer',
  ],
  [/error mounting|mounting .* to rootfs/i, 'check type, source and destination of the mounts'],
  [/exec format error/i, 'the program is for another architecture, or a script without #! in its first line'],
  [/cgroups? in hybrid mode not supported/i, 'crun refuses hybrid cgroups; use runtime: runc'],
  [/exec in a paused container/, 'a commit has just begun to hold it still, or somebody else: try again'],
  [/RLIM_MEMLOCK/, 'crun needs CAP_SYS_RESOURCE to filter devices on cgroup v2; use runtime: runc'],
  [
    /error during container init: mkdir \/\S*: not a directory/,
    'the working folder is, or would lie in, what is no folder: choose another process.cwd',
  ],
  [NO_CWD, 'the working folder is not in the root file system, which is read-only: make it in a layer'],
  [
    /executable file .*not found|\bexec(?:: | container process | \/).*no such file/i,
    'the program, or the interpreter in its first line, is not in the root file system',
  ],
  [
    /no such file or directory/i,
    'what it names is not there: in the root file system, or as the source of a mount on this host',
  ],
  [
    TOO_LONG,
    'one of args or env may have 131071 bytes, and all of them a quarter of the stack limit: put it into a file',
  ],
  [/oom_score_adj/i, 'a lower oomScoreAdj than runspec has itself needs CAP_SYS_RESOURCE'],
  [/rlimit/i, 'a hard limit above the current one needs CAP_SYS_RESOURCE; see: ulimit -H -a'],
  [
    /seccomp/i,
    'the runtime lacks seccomp support, or the profile is not in OCI format; see security.seccomp',
  ],
  [/sysctl/i, 'only sysctls of a namespace the container has to itself can be set'],
  [/cgroup/i, 'run as root on a host where the cgroup file systems are writable'],
  [
    /\bexec(?:: | container process | \/).*permission denied|open executable/i,
    'the program, or a folder on the way to it, is not executable for this user',
  ],
  [
    /permission denied|operation not permitted/i,
    'runspec lacks a capability, or a security module or the options of a mount forbid it',
  ],
];

/** Complaint of runc about a file that is no namespace, or of another kind; its last line does not tell that. */
const SETNS = /failed to setns into (\w+) namespace: ([^"\n]+)/;

/** Names of namespaces in a spec, by runc's names, where they differ. */
const NAMESPACES: ReadonlyMap<string, string> = new Map([
  ['net', 'network'],
  ['mnt', 'mount'],
]);

/**
 * EAGAIN of clone(2) and pthread_create(3), in the words of runc's first stages, of Go and of crun; the last line of
 * runc only names a pipe.
 */
const NO_MORE_TASKS = /resource temporarily unavailable/i;

/** Places in a spec that ask for what the kernel or the runtime refuses, by the words of the complaint. */
const PATHS: readonly (readonly [RegExp, SpecPath])[] = [
  [/seccomp/i, ['security', 'seccomp']],
  [NO_CWD, ['process', 'cwd']],
  [/oom_score_adj/i, ['process', 'oomScoreAdj']],
  [/cgroups? in hybrid mode not supported|RLIM_MEMLOCK/i, ['runtime']],
];

/**
 * runc's `exec /bin/app: exec format error`, before 1.1 `exec user process caused: …`; crun's `exec container process`.
 */
const EXEC_ERROR =
  /^(?:standard_init_linux\.go:\d+: )?exec (?:user process caused: |container process|\/\S*: (?:exec format error|no such file or directory|permission denied|text file busy|argument list too long|not a directory)$)/i;

export function runtimeHint(stderr: string): string | undefined {
  return HINTS.find(([pattern]) => pattern.test(stderr))?.[1];
}

export function createError(
  step: Pick<ProcessStep, 'container' | 'runtime'>,
  command: FailedCommand,
): OperationError {
  const setns = SETNS.exec(command.stderr);
  if (setns !== null) {
    const [, kind = '', reason = ''] = setns;
    const namespace = NAMESPACES.get(kind) ?? kind;
    return new OperationError(`${step.runtime.name} cannot join the ${namespace} namespace: ${reason}`, {
      command,
      path: ['namespaces', namespace],
      hint: 'name a file that is a namespace of that kind, as /proc/PID/ns has them',
    });
  }
  if (NO_MORE_TASKS.test(command.stderr))
    return new OperationError(
      `${step.runtime.name} cannot create the process of ${step.container}: it may make no more processes and threads`,
      {
        command,
        path: ['resources', 'pids'],
        hint: 'an OCI runtime needs some to start with, runc five: raise resources.pids, or the limits of this host',
      },
    );
  // About runc and crun more can be found on the disk and in the processes, which this file does not read.
  if (command.stderr.trim() === '' && !['runc', 'crun'].includes(step.runtime.name))
    return new OperationError(
      `${step.runtime.path} has made no process of ${step.container}, and says nothing`,
      {
        command,
        path: ['runtime'],
        hint: 'is it an OCI runtime? see: runspec doctor',
      },
    );
  const sysctl = SYSCTL.exec(lastWords(command.stderr))?.[1]?.replaceAll('/', '.');
  const path =
    sysctl === undefined ? PATHS.find(([pattern]) => pattern.test(command.stderr))?.[1] : ['sysctls', sysctl];
  const mount = MOUNT.exec(lastWords(command.stderr));
  const destination = mount?.[1] ?? (mount?.[2] === undefined ? undefined : `/${mount[2]}`);
  const message = `${step.runtime.name} cannot create the process of ${step.container}`;
  return failure(message, command, path).with({ destination });
}

export function startError(
  step: Pick<ProcessStep, 'container' | 'runtime'>,
  command: FailedCommand,
): OperationError {
  const path = EXEC_ERROR.test(lastWords(command.stderr)) ? ['process', 'args', 0] : undefined;
  return failure(`${step.runtime.name} cannot start the process of ${step.container}`, command, path);
}

/**
 * The log's word on an execve(2) that failed after `start` had answered: its last entry, if not from before
 * `startedAt`.
 */
export function execErrorIn(log: string, startedAt: number): string | undefined {
  const last = createLogParser().push(`${log.trimEnd().split('\n').at(-1) ?? ''}\n`)[0];
  if (last === undefined || Date.parse(last.time) < startedAt) return undefined;
  return last.stream === 'stderr' && EXEC_ERROR.test(last.text) ? last.text : undefined;
}

function failure(message: string, command: FailedCommand, path?: SpecPath): OperationError {
  const reason = lastWords(command.stderr);
  return new OperationError(reason === '' ? message : `${message}: ${reason}`, {
    command,
    path,
    hint: runtimeHint(command.stderr),
  });
}

/** The last line without the decoration of a logger and without runc's chain of wrappers. */
function lastWords(stderr: string): string {
  const line =
    stderr
      .trim()
      .split('\n')
      .filter((text) => text.trim() !== '')
      .at(-1)
      ?.trim() ?? '';
  const message = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replaceAll('\\"', '"') ?? line;
  return message.replace(
    /^(?:runc \w+ failed: |unable to start container process: |container_linux\.go:\d+: |error during container init: )+/,
    '',
  );
}
