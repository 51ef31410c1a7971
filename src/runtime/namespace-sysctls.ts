// Sysctls in a container's own namespaces: /proc/sys shows those of whoever reads, so a program is put into them.
// It stays in the host's mount namespace, where nothing of the container's lies in the way.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';

/** By name, as the kernel writes them; one that cannot be read (there are such that are only written) is left out. */
export type SysctlValues = Readonly<Record<string, string>>;

/** @returns undefined when the process has ended. */
export async function readSysctls(
  host: Host,
  pid: number,
  names: readonly string[],
): Promise<SysctlValues | undefined> {
  const paths = names.map(pathOf);
  // With a name before each line, and with status 2 when one file of several cannot be read.
  const { status, stdout } = await host.run([...enter(pid), 'grep', '-sH', '', ...paths]);
  if (status !== 0 && stdout === '' && (await host.status(`/proc/${pid}/ns`)) === undefined) return undefined;
  const values = names.flatMap((name, index): [string, string][] => {
    const start = `${paths[index]}:`;
    const lines = stdout.split('\n').filter((line) => line.startsWith(start));
    return lines.length === 0 ? [] : [[name, lines.map((line) => line.slice(start.length)).join('\n')]];
  });
  return Object.fromEntries(values);
}

/** @throws OperationError with the place in the spec when the kernel refuses. */
export async function writeSysctl(host: Host, pid: number, name: string, value: string): Promise<void> {
  const { argv, status, stderr } = await host.run([...enter(pid), 'tee', pathOf(name)], { stdin: value });
  if (status === 0) return;
  throw new OperationError(`cannot set ${name} to ${value} in the namespaces of process ${pid}`, {
    command: { argv, status, stderr },
    path: ['sysctls', name],
  });
}

/**
 * Whether the kernel shows what was wanted: in its own spacing, with what the words leave open behind them, ranges of
 * a list put together. That is not all that it writes otherwise.
 */
export function showsSysctl(wanted: string, found: string): boolean {
  const [words, others] = [wanted, found].map((text) => text.trim().split(/\s+/)) as [string[], string[]];
  return words.every((word, index) => isSameWord(word, others[index]));
}

function isSameWord(wanted: string, found: string | undefined): boolean {
  if (found === undefined) return false;
  const isHex = /^0x[0-9a-f]+$/i.test(wanted);
  return wanted === found || (isHex ? String(Number(wanted)) === found : isSameList(wanted, found));
}

/** As in `8080,8081` and `8080-8081`; bounded by what a port can be. */
function isSameList(wanted: string, found: string): boolean {
  const LIST = /^\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*$/;
  if (!LIST.test(wanted) || !LIST.test(found)) return false;
  const [one, other] = [numbersIn(wanted), numbersIn(found)];
  return one.size === other.size && [...one].every((number) => other.has(number));
}

function numbersIn(list: string): ReadonlySet<number> {
  return new Set(
    list.split(',').flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
    }),
  );
}

/** As runtimes take a name: every dot is a slash. */
function pathOf(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}

function enter(pid: number): readonly string[] {
  return ['nsenter', '--target', String(pid), '--net', '--ipc', '--uts', '--'];
}
