// The bytes inside a gzipped file, from any place, and what becomes of the file when nobody wants them.
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { openFile } from '../../src/host/linux-open.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-open-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
const file = path.join(folder, 'packed.gz');
const bytes = Buffer.from(Array.from({ length: 2 ** 20 }, (_, index) => (index * 7) % 251));
fs.writeFileSync(file, gzipSync(bytes));

const isOpen = (name = file): boolean =>
  fs.readdirSync('/proc/self/fd').some((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`) === name;
    } catch {
      // The descriptor that the folder was listed with.
      return false;
    }
  });

describe('a gzipped file', () => {
  const { signal } = new AbortController();

  it.each([
    [0, undefined],
    [0, 1],
    [300_000, 10],
    [262_143, 262_146],
    [2 ** 20 - 1, 1],
    [0, 0],
  ] as const)('gives what is in it from %i on, %j bytes', async (start, length) => {
    const range = length === undefined ? { start } : { start, length };
    const read = await (await openFile(file, { ...range, gunzip: true, signal })).toArray();
    const end = length === undefined ? undefined : start + length;
    expect(Buffer.concat(read as Buffer[]).equals(bytes.subarray(start, end))).toBe(true);
    await expect.poll(() => isOpen()).toBe(false);
  });

  it('is closed when the reader gives up, before its first byte or behind it', async () => {
    (await openFile(file, { gunzip: true, signal })).destroy();
    await expect.poll(() => isOpen()).toBe(false);
    for await (const chunk of await openFile(file, { gunzip: true, signal })) {
      expect(chunk).toBeInstanceOf(Buffer);
      break;
    }
    await expect.poll(() => isOpen()).toBe(false);
  });

  it('is closed when the reader gives up on the way to where it wants to begin', async () => {
    const endless = path.join(folder, 'endless.gz');
    // 32 GiB of zeros: nobody waits until they are unpacked.
    fs.writeFileSync(endless, Buffer.concat(Array<Buffer>(512).fill(gzipSync(Buffer.alloc(2 ** 26)))));
    const stream = await openFile(endless, { signal, gunzip: true, start: 2 ** 40 });
    const closed = once(stream, 'close');
    stream.resume();
    await sleep(50);
    stream.destroy();
    await closed;
    await expect.poll(() => isOpen(endless)).toBe(false);
  });

  it('is closed at an interrupt, and whoever reads then is told of that', async () => {
    const controller = new AbortController();
    const stream = await openFile(file, { gunzip: true, signal: controller.signal });
    controller.abort('SIGINT');
    await expect.poll(() => isOpen()).toBe(false);
    await expect(stream.toArray()).rejects.toBe('SIGINT');
  });
});
