// Names the kernel knows: capabilities, signals. Text to their canonical spelling.
import type { Parsed } from './describe.ts';
import { suggest } from './suggest.ts';

/** linux/capability.h of 5.9 and later, in the order of their numbers. */
const CAPABILITIES: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ');

/** signal(7), x86 and ARM, in the order of their numbers from 1. */
const SIGNALS: readonly string[] = (
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU ' +
  'XFSZ VTALRM PROF WINCH IO PWR SYS'
).split(' ');

const SIGNAL_ALIASES: Readonly<Record<string, string>> = {
  IOT: 'ABRT',
  CLD: 'CHLD',
  POLL: 'IO',
  UNUSED: 'SYS',
};

/** Upper case without `CAP_`; `ALL` stands for every one. */
export function parseCapability(input: string): Parsed<string> {
  const name = input.toUpperCase().replace(/^CAP_/, '');
  if (name === 'ALL' || CAPABILITIES.includes(name)) return { value: name };
  const near = suggest(name, CAPABILITIES);
  return {
    problem: 'is not a capability',
    hint: near === undefined ? 'capabilities(7) lists them' : `did you mean ${near}?`,
  };
}

/** Canonical name: upper case with `SIG`. */
export function parseSignal(input: string | number): Parsed<string> {
  const text = String(input);
  const number = /^[0-9]+$/.test(text) ? Number(text) : undefined;
  const plain = text.toUpperCase().replace(/^SIG/, '');
  const name = number === undefined ? (SIGNAL_ALIASES[plain] ?? plain) : SIGNALS[number - 1];
  if (name !== undefined && SIGNALS.includes(name)) return { value: `SIG${name}` };
  if (number !== undefined || plain.startsWith('RT')) {
    return {
      problem: 'is not a signal from 1 to 31',
      hint: 'write a name, as in SIGTERM; real-time signals cannot be used',
    };
  }
  const near = suggest(plain, SIGNALS);
  return {
    problem: 'is not a signal',
    hint: near === undefined ? 'write a name, as in SIGTERM' : `did you mean SIG${near}?`,
  };
}
