// Memory that is held for containers by processes other than their own (monitors, proxies, servers), and what a command
// takes at its largest.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const PAGE_KIB = 4;

/** Kilobytes by process, of this pid namespace only: a container's own processes are in another. */
export function measureProcesses() {
  const own = readlinkSync('/proc/self/ns/pid');
  const found = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/ns/pid`) !== own) continue;
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
      found.set(pid, { pss: field('Pss'), rss: field('Rss') });
    } catch (error) {
      // It has ended meanwhile.
      if (!['ENOENT', 'ESRCH'].includes(error.code)) throw error;
    }
  }
  return found;
}

/** What processes that were not there before hold, per container. */
export function heldSince(before, containers) {
  const held = [...measureProcesses()].filter(([pid]) => !before.has(pid)).map(([, memory]) => memory);
  const sum = (name) => held.reduce((total, memory) => total + memory[name], 0) / containers;
  return { pss: sum('pss'), rss: sum('rss'), processes: held.length / containers };
}

/** KiB of a command and all its descendants together at their largest, looked at fifty times a second. */
export async function peakOfTree([program, ...args], env) {
  const child = spawn(program, args, { env, stdio: 'ignore' });
  const ended = new Promise((resolve, reject) => child.on('error', reject).on('exit', resolve));
  let peak = 0;
  const look = setInterval(() => (peak = Math.max(peak, residentOf(child.pid))), 20);
  const status = await ended.finally(() => clearInterval(look));
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')} ended with status ${status}`);
  return peak;
}

function residentOf(pid) {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean),
    );
    return children.reduce((sum, child) => sum + residentOf(child), pages * PAGE_KIB);
  } catch (error) {
    // It, or a thread of it, has ended meanwhile.
    if (['ENOENT', 'ESRCH'].includes(error.code)) return 0;
    throw error;
  }
}
