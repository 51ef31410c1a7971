// The default system call filter, resolved for a set of capabilities and an architecture, in OCI's
// format. Pure. A call that is not listed answers ENOSYS, so that libraries fall back to an older one.
import profile from './seccomp-default.json' with { type: 'json' };
import type { OciSeccomp, OciSyscall } from './runtime-spec.ts';

const ENOSYS = 38;
const EPERM = 1;
const AF_VSOCK = 40;
/** CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}. */
const NAMESPACE_FLAGS = 0x7e020000;
/** PER_LINUX, PER_LINUX32, both with UNAME26, and the query. */
const PERSONALITIES: readonly number[] = [0, 8, 0x20000, 0x20008, 0xffffffff];

/**
 * Architectures of the filter by Node's name of the machine's, the native one first. x32, which hardly a kernel has, is
 * left out: each architecture adds 10 ms to every start, as libseccomp takes quadratic time.
 */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  arm: ['SCMP_ARCH_ARM'],
  riscv64: ['SCMP_ARCH_RISCV64'],
  ppc64: ['SCMP_ARCH_PPC64LE'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
};

/** @param capabilities the bounding set, as in `CAP_SYS_ADMIN`. @param arch as in process.arch. */
export function seccompFor(capabilities: readonly string[], arch: string): OciSeccomp {
  const held = new Set(capabilities);
  const byCapability = Object.entries(profile.allowedWith);
  const granted = new Set(byCapability.flatMap(([capability, names]) => (held.has(capability) ? names : [])));
  const withheld = new Set(byCapability.flatMap(([, names]) => names).filter((name) => !granted.has(name)));
  // clone3 keeps its flags in memory, where a filter cannot look: it has to seem not to exist.
  withheld.delete('clone3');
  const allowedHere = new Map(Object.entries(profile.allowedOn)).get(arch) ?? [];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    architectures: ARCHITECTURES[arch] ?? [],
    syscalls: [
      allow([...profile.allowed, ...allowedHere, ...granted].sort()),
      {
        names: ['socket'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: AF_VSOCK, op: 'SCMP_CMP_NE' }],
      },
      {
        names: ['socket'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: EPERM,
        args: [{ index: 0, value: AF_VSOCK, op: 'SCMP_CMP_EQ' }],
      },
      ...PERSONALITIES.map((value) => allow(['personality'], [{ index: 0, value, op: 'SCMP_CMP_EQ' }])),
      ...cloneRules(held.has('CAP_SYS_ADMIN'), arch),
      { names: [...profile.forbidden, ...withheld].sort(), action: 'SCMP_ACT_ERRNO', errnoRet: EPERM },
    ],
  };
}

function cloneRules(mayMakeNamespaces: boolean, arch: string): readonly OciSyscall[] {
  if (mayMakeNamespaces) return [allow(['clone'])];
  // s390 passes the stack first and the flags second.
  const index = arch === 's390x' ? 1 : 0;
  return [allow(['clone'], [{ index, value: NAMESPACE_FLAGS, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }])];
}

function allow(names: readonly string[], args?: NonNullable<OciSyscall['args']>): OciSyscall {
  return { names, action: 'SCMP_ACT_ALLOW', ...(args === undefined ? {} : { args }) };
}
