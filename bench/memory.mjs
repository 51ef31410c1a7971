// Memory that is held for containers by processes other than their own: monitors, proxies, servers.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

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
