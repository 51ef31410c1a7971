import { describe, expect, it, test } from 'vitest';
import { createError, execErrorIn } from '../../src/runtime/runtime-errors.ts';
import { checkRlimits } from '../../src/runtime/rlimits.ts';

const step = { container: 'web', runtime: { name: 'runc', path: '/usr/sbin/runc' } };
function messageOf(call: () => string): string {
  try {
    return call();
  } catch (error) {
    return (error as Error).message;
  }
}

const START = Date.parse('2024-06-01T00:00:00Z');

describe('a runtime’s complaint', () => {
  it.each([
    [
      'time="x" level=error msg="runc create failed: unable to start container process: error during container init: error mounting \\"/nosuch\\" to rootfs at \\"/x\\": stat /nosuch: no such file or directory"\n',
      'error mounting "/nosuch" to rootfs at "/x": stat /nosuch: no such file or directory',
      'mounts',
    ],
    ['setrlimit (RLIM_MEMLOCK): Operation not permitted', 'setrlimit (RLIM_MEMLOCK)', 'runtime: runc'],
    ['cgroups in hybrid mode not supported', 'hybrid', 'runtime: runc'],
    ['the sysctl `kernel.panic` is not namespaced', 'kernel.panic', 'sysctls'],
    ['exec container process `/bin/app`: Exec format error', 'Exec format error', 'architecture'],
    ['exec: "app": executable file not found in $PATH', 'not found', 'the program, or the interpreter'],
    ['exec /bin/app: no such file or directory', '/bin/app', 'the program, or the interpreter'],
    ['executable file `app` not found in $PATH', 'not found', 'the program, or the interpreter'],
    ['exec /bin/app: permission denied', 'denied', 'is not executable for this user'],
    ['unable to setup user: stat /dev/null: no such file or directory', '/dev/null', 'mounted on /dev'],
    ['open /dev/null: permission denied', '/dev/null', 'mounted on /dev'],
    ['unable to setup user: stat /somewhere: no such file or directory', '/somewhere', 'what it names'],
    ['openat /somewhere: permission denied', '/somewhere', 'options of a mount'],
  ])('is told without decoration and with a hint', (stderr, message, hint) => {
    const error = createError(step, { argv: ['conmon'], status: 1, stderr });
    expect(error.message).toContain(`runc cannot create the process of web: `);
    expect(error.message).toContain(message);
    expect(error.message).not.toMatch(/level=|runc create failed/);
    expect(error.hint).toContain(hint);
    expect(error.command?.stderr).toBe(stderr);
  });
});

test('what one key of the spec asks for leads to its place', () => {
  const pathOf = (stderr: string): unknown =>
    createError(step, { argv: ['conmon'], status: undefined, stderr }).path;
  expect(
    pathOf(
      'level=fatal msg="nsexec[7]: failed to update /proc/self/oom_score_adj: Permission denied"\nlevel=error msg="runc create failed: can\'t get final child\'s PID from pipe: EOF"\n',
    ),
  ).toEqual(['process', 'oomScoreAdj']);
  expect(pathOf('cgroups in hybrid mode not supported')).toEqual(['runtime']);
  expect(pathOf('string FOO is not a valid action for seccomp')).toEqual(['security', 'seccomp']);
  for (const reason of ['read-only file system', 'not a directory'])
    expect(pathOf(`error during container init: mkdir /nosuch: ${reason}`)).toEqual(['process', 'cwd']);
  expect(pathOf('something else')).toBeUndefined();
});

test('a file that is no namespace of its kind is named by its kind, not by what runc said last', () => {
  const error = createError(step, {
    argv: ['conmon'],
    status: undefined,
    stderr:
      'level=fatal msg="nsexec-1[7]: failed to setns into net namespace: Invalid argument"\nlevel=error msg="runc create failed: can\'t get final child\'s PID from pipe: EOF"\n',
  });
  expect(error).toMatchObject({
    message: 'runc cannot join the network namespace: Invalid argument',
    path: ['namespaces', 'network'],
  });
});

test.each([
  'nsexec-0[7]: unable to spawn stage-1: Resource temporarily unavailable"\nlevel=error msg="runc create failed: can\'t get final child\'s PID from pipe: EOF"',
  'runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort\nlevel=error msg="runc create failed: read init-p: connection reset by peer"',
  'clone: Resource temporarily unavailable',
])('too small a resources.pids for the runtime itself leads to that: %j', (stderr) => {
  expect(createError(step, { argv: ['conmon'], status: undefined, stderr })).toMatchObject({
    message: 'runc cannot create the process of web: it may make no more processes and threads',
    path: ['resources', 'pids'],
    hint: expect.stringContaining('raise resources.pids') as unknown,
  });
});

test('a program that says nothing may be no runtime', () => {
  const silent = { argv: ['conmon'], status: undefined, stderr: '' };
  const other = { container: 'web', runtime: { name: 'true', path: '/bin/true' } };
  expect(createError(other, silent)).toMatchObject({ path: ['runtime'] });
  expect(createError(step, silent).path).toBeUndefined();
});

test('a parameter that the kernel has not, or not so, leads to its place in the spec', () => {
  const words =
    'time="x" level=error msg="runc create failed: unable to start container process: error during container init: ';
  const complain = (text: string): ReturnType<typeof createError> =>
    createError(step, { argv: ['conmon'], status: 1, stderr: `${words}${text}"` });
  expect(complain('open /proc/sys/net/ipv4/nope: no such file or directory')).toMatchObject({
    path: ['sysctls', 'net.ipv4.nope'],
    hint: 'this kernel has no such parameter, or not in a namespace; list them with: sysctl -a',
  });
  expect(complain('open /proc/sys/net/core/rmem_max: permission denied')).toMatchObject({
    path: ['sysctls', 'net.core.rmem_max'],
    hint: 'the kernel lets it be set for the whole machine only: on the host, with sysctl -w',
  });
  expect(complain('write /proc/sys/net/core/somaxconn: invalid argument')).toMatchObject({
    path: ['sysctls', 'net.core.somaxconn'],
    hint: 'the kernel does not take this value',
  });
});

test.each([
  [
    'error mounting \\"/tmp/f\\" to rootfs at \\"/sys/x\\": open /run/x/rootfs/sys/x: read-only file system',
    '/sys/x',
  ],
  ['mount `/tmp/f` to `sys/x`: Read-only file system', '/sys/x'],
  ['open `/run/runspec/web/rootfs/dev/pts/x`: No such file or directory', '/dev/pts/x'],
  ['something else', undefined],
])('a mount that cannot be made leads to its destination: %s', (text, destination) => {
  const stderr = `time="x" level=error msg="runc create failed: ${text}"`;
  expect(createError(step, { argv: ['conmon'], status: 1, stderr }).destination).toBe(destination);
});

describe('a failed execve', () => {
  it.each([
    ['2024-06-01T00:00:01.000000000+00:00 stderr F exec /bin/app: exec format error\n', true],
    [
      '2024-06-01T00:00:01.000000000+00:00 stderr F exec container process `/bin/app`: Exec format error\n',
      true,
    ],
    ['2024-05-31T00:00:01.000000000+00:00 stderr F exec /bin/app: exec format error\n', false],
    ['2024-06-01T00:00:01.000000000+00:00 stdout F exec /bin/app: exec format error\n', false],
    ['2024-06-01T00:00:01.000000000+00:00 stderr F sh: exec: line 1: foo: not found\n', false],
    ['', false],
  ])('is the last entry of this start: %s', (log, expected) => {
    expect(execErrorIn(log, START) !== undefined).toBe(expected);
  });
});

describe('an rlimit', () => {
  const limits =
    'Limit   Soft  Hard  Units\nMax cpu time  unlimited  unlimited  seconds\nMax open files            1024                 20000                files\n';

  it.each([
    ['lower', 'RLIMIT_NOFILE', 20_000, [], true],
    ['higher', 'RLIMIT_NOFILE', 20_001, [], false],
    ['higher with the capability', 'RLIMIT_NOFILE', 20_001, ['CAP_SYS_RESOURCE'], true],
    ['where there is none', 'RLIMIT_CPU', 99, [], true],
  ])('%s', (_, type, hard, capabilities, allowed) => {
    const check = (): string => {
      checkRlimits([{ type, soft: 1, hard }], limits, capabilities);
      return 'allowed';
    };
    const outcome = allowed
      ? 'allowed'
      : 'rlimit nofile cannot be raised to 20001: the hard limit here is 20000';
    expect(messageOf(check)).toBe(outcome);
  });
});
