// What tests ask of containers, by runspec's own command line.
import fs from 'node:fs';
import { expect } from 'vitest';
import type { Executed } from './execute.ts';
import type { TestHost } from './test-host.ts';

/** Standard output of a runspec that has to succeed. */
export async function succeed(host: TestHost, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await host.runspec(...args);
  if (status === 0) return stdout;
  // Steps that went well do not tell what did not.
  const told = stderr.split('\n').filter((line) => !/^[-+~=±] /.test(line));
  throw new Error(`status ${status} of runspec ${args.join(' ')}:\n${stdout}${told.join('\n')}`);
}

/** Runs argv in a container; nothing is expected of the outcome. */
export function inside(host: TestHost, name: string): (argv: readonly string[]) => Promise<Executed> {
  return (argv) => host.runspec('exec', name, '--', ...argv);
}

/** A row of `ps --json`. */
export interface Row {
  readonly name: string;
  readonly state: string;
  readonly pid: number | null;
  readonly exitStatus: number | null;
  readonly finishedAt: string | null;
  readonly oom: boolean;
  readonly address: string | null;
  readonly address6: string | null;
  readonly ports: readonly string[];
}

export async function list(host: TestHost): Promise<readonly Row[]> {
  return JSON.parse(await succeed(host, 'ps', '--json')) as readonly Row[];
}

export async function find(host: TestHost, name: string): Promise<Row> {
  const row = (await list(host)).find((one) => one.name === name);
  if (row === undefined) throw new Error(`ps does not list ${name}`);
  return row;
}

/** Waits until the container's process has ended by itself. */
export async function waitForEnd(host: TestHost, name: string): Promise<Row> {
  await expect
    .poll(async () => (await find(host, name)).state, { timeout: 60_000, interval: 100 })
    .toBe('exited');
  return find(host, name);
}

/** Pid and start time of a container's process: equal only for the same process. */
export async function identify(host: TestHost, name: string): Promise<string> {
  const { pid } = await find(host, name);
  if (pid === null) throw new Error(`${name} does not run`);
  const stat = await host.output(['cat', `/proc/${pid}/stat`]);
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return `${pid} ${startTime}`;
}

/** Ids of the steps that `plan` would carry out, with what it would do. */
export async function pending(host: TestHost, file: string): Promise<readonly string[]> {
  const { status, stdout } = await host.runspec('plan', '--exit-code', file);
  const marked = stdout.split('\n').filter((line) => /^\s*[-+~±]/.test(line));
  expect(status).toBe(marked.length === 0 ? 0 : 3);
  return marked;
}

/** Steps that are not as they should be, by `status --json`. */
export async function drift(host: TestHost, name: string): Promise<readonly string[]> {
  const { status, stdout } = await host.runspec('status', name, '--json');
  const { clean, steps } = JSON.parse(stdout) as {
    readonly clean: boolean;
    readonly steps: readonly { readonly id: string; readonly state: string }[];
  };
  expect(status).toBe(clean ? 0 : 3);
  return steps.filter((step) => step.state !== 'present').map((step) => `${step.id} ${step.state}`);
}

const limitFiles = (name: string): readonly string[] => [
  `/sys/fs/cgroup/memory/runspec/${name}/memory.limit_in_bytes`,
  `/sys/fs/cgroup/runspec/${name}/memory.max`,
];

export function memoryLimit(name: string): string {
  const file = limitFiles(name).find((one) => fs.existsSync(one));
  return file === undefined ? 'none' : fs.readFileSync(file, 'utf8').trim();
}

/** CPU time of everything below a cgroup, in seconds, by whichever version of cgroups counts it here. */
const CPU_TIME = `
  for file in /sys/fs/cgroup/cpuacct/runspec/$1/cpuacct.usage /sys/fs/cgroup/cpu,cpuacct/runspec/$1/cpuacct.usage; do
    if [ -e "$file" ]; then awk '{ print $1 / 1e9 }' "$file"; exit; fi
  done
  awk '$1 == "usage_usec" { print $2 / 1e6 }' "/sys/fs/cgroup/runspec/$1/cpu.stat"`;

/** CPU time that a container has had so far. */
export async function cpuSeconds(host: TestHost, name: string): Promise<number> {
  return Number(await host.output(['sh', '-ec', CPU_TIME, 'sh', name]));
}
