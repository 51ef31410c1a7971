// The real Host: Linux through Node. Everything below src that wants the machine asks for a Host;
// only the linux*.ts files of this folder know node:fs and node:child_process.
import type { Host } from './host.ts';
import { linuxCommands } from './linux-commands.ts';
import { linuxFiles } from './linux-files.ts';
import { createIpSessions } from './linux-ip.ts';
import { takeLock } from './linux-lock.ts';
import { removeTree } from './linux-remove-tree.ts';
import { createLinuxWrites } from './linux-writes.ts';
import { monotonic } from './monotonic.ts';

export function createLinuxHost(): Host {
  const ip = createIpSessions();
  return {
    environment: process.env,
    ...linuxFiles,
    ...createLinuxWrites(),
    ...linuxCommands,
    run: (argv, options) => ip.run(argv, options) ?? linuxCommands.run(argv, options),
    close: () => ip.close(),
    // Not imported: that would load this part of Node, for 1.5 ms, whenever runspec starts.
    stopOptimizing: () => process.getBuiltinModule('node:v8').setFlagsFromString('--no-opt'),
    removeTree,
    lock: takeLock,
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    now: () => Date.now(),
    monotonic: () => Math.floor(monotonic()),
  };
}
