// Signals that a container's process has no handler for. The kernel does not deliver them to process 1 of a pid
// namespace, while they would end any other process (pid_namespaces(7)): `sleep` in a container does not notice Ctrl-C.
import { constants } from 'node:os';
import type { Host } from '../host/host.ts';
import { isAlive, type ProcessIdentity, readProcFile } from './proc.ts';

/** Signals with which people and `timeout` end a program in the foreground. */
export const ENDING: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']);

/** Whether the process does not notice the signal because it is process 1, while any other process would end by it. */
export async function isLostOn(
  host: Host,
  process: ProcessIdentity,
  signal: NodeJS.Signals,
): Promise<boolean> {
  if (!ENDING.has(signal)) return false;
  const status = await readProcFile(host, `/proc/${process.pid}/status`);
  if (status === undefined || !(await isAlive(host, process))) return false;
  const numbers = fieldOf(status, 'NSpid').split(/\s+/);
  if (numbers.length < 2 || numbers.at(-1) !== '1') return false;
  // A blocked signal is kept for the process, which may wait for it: sigwait(3), signalfd(2).
  return !['SigBlk', 'SigIgn', 'SigCgt'].some((name) => holds(fieldOf(status, name), signal));
}

/** A field of /proc/PID/status: proc_pid_status(5). */
function fieldOf(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';
}

/** @param mask hexadecimal, with bit n - 1 for signal n. */
function holds(mask: string, signal: NodeJS.Signals): boolean {
  return ((BigInt(`0x${mask === '' ? '0' : mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}
