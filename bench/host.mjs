// A throw-away host for the benchmark: the one that the system tests use, held by test/support/hold-host.sh.
// Both runspec and Podman work inside it, so that the machine's own network and files stay as they are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../test/support/hold-host.sh', import.meta.url));
const NAMESPACES = ['--mount', '--net', '--pid', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc'];

/** @returns its one writable folder, the command that leads into it, and what ends it. */
export async function createHost() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'runspec-bench-')));
  mkdirSync(join(folder, 'data'));
  const child = spawn('unshare', [...NAMESPACES, '--propagation', 'private', 'bash', SCRIPT, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
  if (!/^ready \d+$/.test(String(line))) throw new Error('no throw-away host could be made');
  const pid = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0];
  return {
    folder,
    enter: ['nsenter', '--target', pid, '--mount', '--net', '--pid', '--uts', '--ipc', '--'],
    async destroy() {
      child.stdin.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
