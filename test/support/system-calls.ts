// Counts what a command does to the host: runs it and all its children under strace and keeps the system
// calls that change something. Knows nothing of runspec.
import fs from 'node:fs';
import path from 'node:path';
import type { TestHost } from './test-host.ts';

/** Calls of which the mere success is a change. A `?` lets architectures pass that do not have one. */
const CHANGING = `
  creat mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink
  symlinkat mknod mknodat truncate ftruncate fallocate chmod fchmod fchmodat chown fchown lchown
  fchownat utimensat futimesat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
  mount umount2 move_mount open_tree fsopen fsmount mount_setattr pivot_root unshare sethostname
  setdomainname kill tgkill tkill pidfd_send_signal bpf init_module finit_module swapon swapoff
  reboot settimeofday clock_settime shmget semget msgget mq_open add_key keyctl ptrace quotactl
  acct
`
  .trim()
  .split(/\s+/);
/** Calls that may or may not change something, by their arguments. */
const LOOKED_AT = ['open', 'openat', 'openat2', 'sendto', 'sendmsg', 'clone', 'clone3', 'ioctl', 'connect'];

const READING_ONLY: readonly RegExp[] = [
  /^(open|openat)\([^"]*"[^"]*", (?!.*O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE))/,
  /^(open|openat)\([^"]*"\/dev\/null", /,
  /^(clone|clone3)\((?!.*CLONE_NEW)/,
  /^ioctl\(\d+(<.*?>)?, (?!SIOCS|SIOCBR|SIOCADD|SIOCDEL)/,
];

/** @returns the calls that changed something, as strace writes them, and what the command printed. */
export async function traceChanges(
  host: TestHost,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly changes: readonly string[]; readonly calls: number; readonly stdout: string }> {
  // Outside the host's own folders: strace's files are not the command's.
  const folder = fs.mkdtempSync(path.join(host.folder, 'trace-'));
  try {
    const events = [...CHANGING, ...LOOKED_AT].map((name) => `?${name}`).join(',');
    // One file a process, so that no call is torn in two by another's.
    const strace = ['strace', '-ff', '-qq', '-y', '-s', '4096', '-o', path.join(folder, 'calls')];
    const { status, stdout, stderr } = await host.exec([...strace, '-e', `trace=${events}`, ...argv], {
      env,
      timeout: 30_000,
    });
    if (status !== 0) throw new Error(`status ${status} under strace:\n${stdout}${stderr}`);
    const lines = fs
      .readdirSync(folder)
      .flatMap((name) => fs.readFileSync(path.join(folder, name), 'utf8').split('\n'))
      .filter((line) => /^\w+\(/.test(line));
    return { calls: lines.length, changes: lines.filter(isChange), stdout };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function isChange(line: string): boolean {
  // What failed has changed nothing: mkdir(2) of a folder that is there already.
  if (/ = -1 E[A-Z]+ /.test(line) || line.endsWith(' = ?')) return false;
  const call = line.slice(0, line.indexOf('('));
  if (call === 'connect') return !/AF_(NETLINK|UNIX|INET6?)\b/.test(line);
  if (call === 'sendto' || call === 'sendmsg') return changesByNetlink(line);
  return !READING_ONLY.some((pattern) => pattern.test(line));
}

/** A message to the kernel over netlink that is no question; what is sent elsewhere changes no host. */
function changesByNetlink(line: string): boolean {
  const types = [...line.matchAll(/nlmsg_type=(?:(0x[0-9a-f]+)|([^,]+))/g)];
  return types.some(([, number, name = '']) => {
    if (number === undefined) return !/(^|_|<<8\|\w*_)GET|^NLMSG_(NOOP|DONE)|^0 /.test(name);
    return !isQuestion(Number(number));
  });
}

/** For sockets of another network namespace strace has numbers only: linux/rtnetlink.h, linux/netfilter/nf_tables.h. */
function isQuestion(type: number): boolean {
  const [subsystem, message] = [type >> 8, type & 0xff];
  if (subsystem === 0) return message >= 16 && message % 4 === 2;
  return subsystem === 10 && [1, 4, 7, 10, 13, 16, 19, 20, 22, 23].includes(message);
}
