// What a pipeline around runspec sees: readers that have had enough, colours, and events one a line.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { list, succeed, waitForEnd } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type PlacedSpec } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');
/** Numbers without end, until one cannot be written. */
const COUNT = ['perl', '-e', '$| = 1; print ++$n, "\\n" or exit 9 while 1'];

describe.skipIf(!requireSystem())('a pipeline', () => {
  const getHost = shareHost();
  const shell = (script: string): ReturnType<ReturnType<typeof getHost>['exec']> =>
    getHost().exec(['timeout', '60', 'bash', '-c', script]);
  const write = (base: string, ...args: readonly string[]): PlacedSpec =>
    writeSpec(getHost(), base, { process: { args, stopTimeout: '0s' } });

  it('ends a run whose output nobody reads any more, when its process gives up', async () => {
    const spec = write('count', ...COUNT);
    const { stdout } = await shell(
      `{ ${process.execPath} ${CLI} --quiet run ${spec.file}; echo "status $?" >&3; } 3>&2 | head -n 2 2>&1`,
    );
    expect(stdout).toBe('1\n2\n');
    expect(await list(getHost())).toEqual([]);
    const { stdout: status } = await shell(
      `{ { ${process.execPath} ${CLI} --quiet run ${spec.file}; echo "status $?" >&3; } | head -n 1 >/dev/null; } 3>&1`,
    );
    expect(status).toBe('status 9\n');
  });

  it('ends logs -f when nobody reads them any more', async () => {
    const spec = write(
      'talks',
      'perl',
      '-e',
      '$| = 1; print(++$n, "\\n"), select(undef, undef, undef, 0.02) while 1',
    );
    await succeed(getHost(), 'apply', spec.file);
    const { stdout, status } = await shell(`${process.execPath} ${CLI} logs -f ${spec.name} | head -n 1`);
    expect({ stdout, status }).toEqual({ stdout: '1\n', status: 0 });
    await succeed(getHost(), 'down', spec.name);
  });

  /** A hundred megabytes: several times what Node itself takes. */
  const MUCH = ['perl', '-e', 'print "x" x 999, "\\n" for 1..100_000'];
  /** Its reader sets out when the writer has had time to fill all of the pipe, and is asked for its memory in kB. */
  const readSlowly = (command: string): ReturnType<typeof shell> =>
    shell(
      `{ ${process.execPath} ${CLI} ${command} & sleep 6; grep VmHWM /proc/$!/status >&2; wait $!; } |
         { sleep 7; wc; }`,
    );

  it.each([
    ['logs', /^ *100000 +100000 +100000000$/],
    ['exec', /^ *100000 +100000 +100000000$/],
    ['run', /^ *100000 +100000 +100000000$/],
    ['run --json', /^ *\d+ +\d+ +10\d{7}$/],
  ])('has %s wait for a reader that is slow', async (command, expected) => {
    const spec = write('much', ...(command === 'exec' ? WAIT : MUCH));
    const isApplied = command === 'logs' || command === 'exec';
    if (isApplied) await succeed(getHost(), 'apply', spec.file);
    if (command === 'logs') await waitForEnd(getHost(), spec.name);
    const [program, option, script] = MUCH;
    const more = command === 'exec' ? ` ${program} ${option} '${script}'` : '';
    const { stdout, stderr } = await readSlowly(`${command} ${isApplied ? spec.name : spec.file}${more}`);
    const used = Number(/(\d+) kB/.exec(stderr)?.[1]);
    expect(used).toBeGreaterThan(10_000);
    expect(used).toBeLessThan(130_000);
    expect(stdout.trimEnd()).toMatch(expected);
    if (isApplied) await succeed(getHost(), 'down', spec.name);
  });

  it('does not keep a container up for what nobody has read when it ends', async () => {
    const spec = write('unread', 'perl', '-e', 'print "x" x 150_000');
    const self = `${process.execPath} ${CLI}`;
    const { stdout } = await shell(
      `${self} run ${spec.file} | { sleep 2; while ${self} ps | grep -q ${spec.name}; do sleep 0.5; done; wc -c; }`,
    );
    expect(stdout).toBe('150000\n');
  });

  it('gets no colours on standard output, whatever standard error is, and a dumb terminal none', async () => {
    const spec = write('plain', ...WAIT);
    const seen = async (command: string): Promise<string> =>
      (await getHost().exec(['script', '-qec', command, '/dev/null'])).stdout;
    expect(await seen(`${process.execPath} ${CLI} plan ${spec.file}`)).toContain('\u001B[1m');
    expect(await seen(`${process.execPath} ${CLI} plan ${spec.file} | cat`)).not.toContain('\u001B[');
    expect(await seen(`TERM=dumb ${process.execPath} ${CLI} plan ${spec.file}`)).not.toContain('\u001B[');
  });

  it('gets nothing but events from run --json', async () => {
    const spec = write('events', 'bash', '-c', 'echo out; echo err >&2; exit 5');
    const { stdout, stderr, status } = await getHost().runspec('run', '--json', spec.file);
    expect({ stderr, status }).toEqual({ stderr: '', status: 5 });
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const container = spec.name;
    expect(events).toContainEqual({ event: 'output', container, stream: 'stdout', text: 'out\n' });
    expect(events).toContainEqual({ event: 'output', container, stream: 'stderr', text: 'err\n' });
    expect(events).toContainEqual({ event: 'exited', container, status: 5 });
  });
});
