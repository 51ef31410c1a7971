// What is read once, from a real fifo in a temporary folder.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openPipe } from '../../src/host/linux-pipe.ts';

let folder: string;
let fifo: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-pipe-'));
  fifo = path.join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

it('is read to its end, when its writer comes at last', async () => {
  const read = text(openPipe(fifo));
  spawn('sh', ['-c', 'exec 3>"$0"; echo one >&3; head -c 200000 /dev/zero >&3; echo two >&3', fifo]);
  expect((await read).replaceAll('\0', '')).toBe('one\ntwo\n');
});

it('is empty when its writer writes nothing', async () => {
  const read = text(openPipe(fifo));
  spawn('sh', ['-c', ': >"$0"', fifo]);
  expect(await read).toBe('');
});

it('may be a file that has lost its name', async () => {
  const file = path.join(folder, 'file');
  fs.writeFileSync(file, 'content');
  const fd = fs.openSync(file, 'r');
  fs.rmSync(file);
  expect(await text(openPipe(`/dev/fd/${fd}`))).toBe('content');
  fs.closeSync(fd);
});

it('is given up while nobody writes', async () => {
  const pipe = openPipe(fifo);
  const read = text(pipe);
  pipe.destroy(new Error('given up'));
  await expect(read).rejects.toThrow('given up');
});
