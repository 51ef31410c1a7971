import { describe, expect, it } from 'vitest';
import { ALL_CAPABILITIES, capabilitiesOfMask } from '../../src/oci/capabilities.ts';
import { seccompFor } from '../../src/oci/seccomp.ts';

const DEFAULTS = capabilitiesOfMask('a80425fb');

/** What the filter answers to a call whatever its arguments: `allow`, an errno, or `args` when they decide. */
function answer(capabilities: readonly string[], name: string): string | number {
  const filter = seccompFor(capabilities, 'x64');
  const rules = filter.syscalls.filter(({ names }) => names.includes(name));
  if (rules.some(({ args }) => args !== undefined)) return 'args';
  if (rules.length === 0) return filter.defaultErrnoRet ?? 0;
  expect(rules).toHaveLength(1);
  return rules[0]?.action === 'SCMP_ACT_ALLOW' ? 'allow' : (rules[0]?.errnoRet ?? 0);
}

describe('the default filter', () => {
  it.each([
    ['read', 'allow'],
    ['chroot', 'allow'],
    ['mount', 1],
    ['unshare', 1],
    ['setns', 1],
    ['bpf', 1],
    ['reboot', 1],
    ['keyctl', 1],
    ['kexec_load', 1],
    ['init_module', 1],
    ['clone3', 38],
    ['io_uring_setup', 38],
    ['a_call_of_the_future', 38],
    ['clone', 'args'],
    ['socket', 'args'],
    ['personality', 'args'],
  ])('answers %s with %s', (name, expected) => {
    expect(answer(DEFAULTS, name)).toBe(expected);
  });

  it.each([
    ['CAP_SYS_ADMIN', ['mount', 'setns', 'unshare', 'clone', 'clone3', 'bpf']],
    ['CAP_SYS_PTRACE', ['process_vm_readv', 'kcmp']],
    ['CAP_SYS_TIME', ['settimeofday', 'clock_settime']],
    ['CAP_SYS_MODULE', ['init_module']],
    ['CAP_SYSLOG', ['syslog']],
  ])('allows with %s what it is for', (capability, names) => {
    for (const name of names)
      expect([name, answer([...DEFAULTS, capability], name)]).toEqual([name, 'allow']);
  });

  it('lets clone make no namespace without CAP_SYS_ADMIN', () => {
    const rule = seccompFor(DEFAULTS, 'x64').syscalls.find(({ names }) => names.includes('clone'));
    expect(rule?.args).toEqual([{ index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }]);
  });

  it.each([
    ['x64', ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']],
    ['arm64', ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']],
  ])('is for all that a machine of %s runs', (arch, architectures) => {
    expect(seccompFor(DEFAULTS, arch).architectures).toEqual(architectures);
  });

  it('allows calls of its own architecture only', () => {
    const names = (arch: string): readonly string[] =>
      seccompFor(DEFAULTS, arch).syscalls.flatMap((rule) => rule.names);
    expect(names('x64')).toContain('arch_prctl');
    expect(names('x64')).not.toContain('set_tls');
    expect(names('arm64')).toContain('set_tls');
  });

  it('never both allows and forbids a call, whatever the capabilities', () => {
    for (const capabilities of [[], DEFAULTS, ALL_CAPABILITIES]) {
      const rules = seccompFor(capabilities, 'x64').syscalls.filter(({ args }) => args === undefined);
      const names = rules.flatMap((rule) => rule.names);
      expect(names).toHaveLength(new Set(names).size);
    }
  });
});
