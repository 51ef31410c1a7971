// Sysctls in a container's own namespaces. /proc/sys shows those of the process that reads it, so programs are started
// in the namespaces; they stay in the host's mount namespace, where nothing of the container's is in their way.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { findLivingTask, isAlive, type ProcessIdentity } from './proc.ts';

/** Values by the names of sysctls, as in a spec or as the kernel writes them. */
export type SysctlValues = Readonly<Record<string, string>>;

/**
 * Values as the kernel showed them once they were set. It writes some in other words (the ports 8080,8081 as
 * 8080-8081), which compared with the spec would look like drift for ever.
 */
export interface ShownSysctls extends ProcessIdentity {
  /** Only values that are known to be as they were asked for. */
  readonly values: SysctlValues;
}

/**
 * Sets the sysctls that are not as wanted, and stores in `file` how the kernel shows them. A sysctl that is not there
 * yet, or can only be written, is left out. Does nothing when the process has ended.
 * @throws OperationError with the place in the spec when the kernel refuses a value.
 */
export async function settleSysctls(
  host: Host,
  file: string,
  { pid, startTime }: ProcessIdentity,
  wanted: SysctlValues,
): Promise<void> {
  const init = { pid, startTime };
  const names = Object.keys(wanted);
  const found = await readSysctls(host, init, names);
  if (found === undefined) return;
  const isShown = (name: string): boolean => showsSysctl(wanted[name] ?? '', found[name] ?? '');
  const missed = names.filter((name) => found[name] !== undefined && !isShown(name));
  for (const name of missed) await writeSysctl(host, init, name, wanted[name] ?? '');
  // Only sysctls that were found before are read again, as no others were written.
  const values = missed.length === 0 ? found : await readSysctls(host, init, Object.keys(found));
  if (values === undefined) return;
  const shown: ShownSysctls = { ...init, values };
  await host.writeAtomic(file, `${JSON.stringify(shown)}\n`, { mode: 0o600, sync: false });
}

/** @returns undefined when the file tells nothing of this process, as after a kill before it was written. */
export async function readShown(
  host: Host,
  file: string,
  { pid, startTime }: ProcessIdentity,
): Promise<SysctlValues | undefined> {
  const text = await host.readText(file);
  if (text === undefined) return undefined;
  try {
    const shown = JSON.parse(text) as ShownSysctls;
    return shown.pid === pid && shown.startTime === startTime ? shown.values : undefined;
  } catch {
    // A damaged file is as good as none.
    return undefined;
  }
}

/** @returns undefined when the process has ended. */
export async function readSysctls(
  host: Host,
  init: ProcessIdentity,
  names: readonly string[],
): Promise<SysctlValues | undefined> {
  const enter = await entering(host, init);
  if (enter === undefined) return undefined;
  const paths = names.map(pathOf);
  // `grep -H` puts the file's name before each line. Its status is 2 when one file cannot be read, and is ignored.
  const { stdout } = await host.run([...enter, 'grep', '-sH', '', ...paths]);
  if (stdout === '' && !(await isAlive(host, init))) return undefined;
  return parseShown(stdout, names);
}

/** Values by name, from the output of `grep -H '' FILE…` for their files. */
export function parseShown(stdout: string, names: readonly string[]): SysctlValues {
  const values = names.flatMap((name): [string, string][] => {
    const start = `${pathOf(name)}:`;
    const lines = stdout.split('\n').filter((line) => line.startsWith(start));
    return lines.length === 0 ? [] : [[name, lines.map((line) => line.slice(start.length)).join('\n')]];
  });
  return Object.fromEntries(values);
}

async function writeSysctl(host: Host, init: ProcessIdentity, name: string, value: string): Promise<void> {
  const enter = await entering(host, init);
  if (enter === undefined) return;
  const { argv, status, stderr } = await host.run([...enter, 'tee', pathOf(name)], { stdin: value });
  if (status === 0 || !(await isAlive(host, init))) return;
  throw new OperationError(`cannot set ${name} to ${value} in the namespaces of process ${init.pid}`, {
    command: { argv, status, stderr },
    path: ['sysctls', name],
  });
}

/** The beginning of an argv that runs a command in the process's namespaces; undefined when the process has ended. */
async function entering(host: Host, init: ProcessIdentity): Promise<readonly string[] | undefined> {
  const task = await findLivingTask(host, init.pid);
  // The init is looked at last: the number of its task may be that of another process by now.
  if (task === undefined || !(await isAlive(host, init))) return undefined;
  return ['nsenter', '--target', String(task), '--net', '--ipc', '--uts', '--'];
}

/**
 * Whether the kernel shows the wanted value: spaced in its own way, with further words where the wanted ones end, or
 * with the numbers of a list as ranges. The kernel writes some values in still other ways, which are not recognized.
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

/**
 * Whether two lists have the same numbers, as `8080,8081` and `8080-8081` do. Numbers have up to five digits, as ports.
 */
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

/** The file of a sysctl: every dot in its name is a slash, as runtimes take it. */
export function pathOf(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}
