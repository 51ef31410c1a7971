import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { createLinuxHost } from '../../src/host/linux.ts';
import { readProcFile } from '../../src/runtime/proc.ts';

const failing = (code: string): Host =>
  ({ readText: () => Promise.reject(Object.assign(new Error(code), { code })) }) as unknown as Host;

it.each(['ESRCH', 'ENODEV', 'EINVAL'])(
  'takes %s for a process or a cgroup that went meanwhile',
  async (code) => {
    expect(await readProcFile(failing(code), '/sys/fs/cgroup/web/cgroup.procs')).toBeUndefined();
  },
);

it('sees nothing of a zombie, whose mounts the kernel refuses to show', async () => {
  const child = spawn('sh', ['-c', 'sh -c "echo \\$\\$" & exec sleep 100']);
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const path = `/proc/${chunk.toString().trim()}/mountinfo`;
  try {
    await expect.poll(() => readProcFile(createLinuxHost(), path), { timeout: 10_000 }).toBeUndefined();
  } finally {
    child.kill('SIGKILL');
  }
});

it('passes on what else went wrong', async () => {
  await expect(readProcFile(failing('EACCES'), '/proc/1/stat')).rejects.toThrow('EACCES');
});
