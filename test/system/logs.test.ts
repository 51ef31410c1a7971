// logs: each stream to its own, every line, times, following.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { succeed, waitForEnd } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

describe.skipIf(!requireSystem())('logs', () => {
  const getHost = shareHost();
  const start = async (base: string, script: string): Promise<string> => {
    const spec = writeSpec(getHost(), base, {
      process: { args: ['bash', '-c', script], stopSignal: 'KILL' },
    });
    await succeed(getHost(), 'apply', spec.file);
    return spec.name;
  };

  it('gives standard output and error, each to its own', async () => {
    const name = await start('both', 'echo out; echo err >&2; printf open');
    await waitForEnd(getHost(), name);
    expect(await getHost().runspec('logs', name)).toMatchObject({
      status: 0,
      stdout: 'out\nopen',
      stderr: 'err\n',
    });
  });

  it('keeps every line of much output, and long lines whole', async () => {
    const name = await start('much', `perl -e 'print "$_\\n" for 1..50000; print "x" x 100_000, "\\n"'`);
    await waitForEnd(getHost(), name);
    const lines = (await succeed(getHost(), 'logs', name)).split('\n');
    expect(lines).toHaveLength(50_002);
    expect(lines[49_999]).toBe('50000');
    expect(lines[50_000]).toHaveLength(100_000);
    expect(await succeed(getHost(), 'logs', name, '--tail', '2')).toBe(`50000\n${'x'.repeat(100_000)}\n`);
    expect(await succeed(getHost(), 'logs', '--tail', '0', name)).toBe('');
  });

  it('gives back every byte, of text in any encoding and of none', async () => {
    const bytes =
      'my $all = join("", map chr, 0..255); print STDOUT $all, "caf\\351 \\303\\251\\n" for 1..3000';
    const name = await start('bytes', `perl -e '${bytes}'`);
    await waitForEnd(getHost(), name);
    const { stdout } = await getHost().exec([
      'sh',
      '-c',
      `${process.execPath} ${CLI} logs ${name} | sha256sum; perl -e '${bytes}' | sha256sum`,
    ]);
    const [logged, written] = stdout.trim().split('\n');
    expect(logged).toBe(written);
  });

  it('tells the time of each line when asked', async () => {
    const before = new Date();
    const name = await start('times', 'echo one; echo two');
    await waitForEnd(getHost(), name);
    const lines = (await succeed(getHost(), 'logs', '--timestamps', name)).trim().split('\n');
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['one', 'two']);
    for (const line of lines) {
      const time = Date.parse(line.split(' ')[0] ?? '');
      expect(time).toBeGreaterThanOrEqual(before.getTime() - 1000);
      expect(time).toBeLessThanOrEqual(Date.now() + 1000);
    }
  });

  it('follows until the container ends', async () => {
    const name = await start('follow', 'echo first; until [ -s /go ]; do sleep 0.05; done; cat /go; exit 4');
    const follower = await getHost().startRunspec('logs', '-f', name);
    await expect.poll(follower.written, { timeout: 10_000 }).toContain('first\n');
    await succeed(
      getHost(),
      'exec',
      name,
      '--',
      'bash',
      '-c',
      'echo second >/new; perl -e "rename q(/new), q(/go)"',
    );
    expect(await follower.ended).toMatchObject({ status: 0 });
    expect(follower.written()).toBe('first\nsecond\n');
  });

  it('says so when it can follow no further', async () => {
    const name = await start('cut', 'echo first; sleep 1000');
    const follower = await getHost().startRunspec('logs', '-f', name);
    await expect.poll(follower.written, { timeout: 10_000 }).toContain('first\n');
    const pid = await getHost().output(['pgrep', '-f', `^tail .*/${name}/log$`]);
    await getHost().output(['kill', '-KILL', pid.trim()]);
    expect(await follower.ended).toMatchObject({ status: 1 });
    expect(follower.written()).toMatch(/error: cannot read .* any further[^]*tail was ended by SIGKILL/);
    await succeed(getHost(), 'down', name);
  });
});
