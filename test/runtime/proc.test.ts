import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { readProcFile } from '../../src/runtime/proc.ts';

const failing = (code: string): Host =>
  ({ readText: () => Promise.reject(Object.assign(new Error(code), { code })) }) as unknown as Host;

it.each(['ESRCH', 'ENODEV'])('takes %s for a process or a cgroup that went meanwhile', async (code) => {
  expect(await readProcFile(failing(code), '/sys/fs/cgroup/web/cgroup.procs')).toBeUndefined();
});

it('passes on what else went wrong', async () => {
  await expect(readProcFile(failing('EACCES'), '/proc/1/stat')).rejects.toThrow('EACCES');
});
