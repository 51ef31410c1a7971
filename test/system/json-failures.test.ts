// --json says why something failed: as the last event, or in place of the document.
import { describe, expect, it } from 'vitest';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec } from '../support/specs.ts';

const parse = (text: string): unknown => JSON.parse(text);
const lastEvent = (stdout: string): unknown => parse(stdout.trim().split('\n').at(-1) ?? '');

describe.skipIf(!requireSystem())('a failure as JSON', () => {
  const getHost = shareHost();
  const call = async (...args: readonly string[]) => {
    const { status, stdout, stderr } = await getHost().runspec(...args);
    return { status, stdout, stderr };
  };

  it.each([
    ['apply', 1],
    ['run', 125],
  ] as const)('is the last event of %s, with container, step and place', async (command, status) => {
    const { file, name } = writeSpec(getHost(), 'typo', { process: { args: ['slep', '9'] } });
    const result = await call(command, '--json', file);
    expect(result.status).toBe(status);
    expect(result.stderr).toContain('no program slep in the root file system');
    expect(lastEvent(result.stdout)).toEqual({
      event: 'failed',
      status,
      failures: [
        {
          message: 'no program slep in the root file system',
          hint: expect.stringContaining('PATH') as string,
          container: name,
          step: 'bundle',
          place: expect.stringMatching(new RegExp(`^${file}:\\d+:\\d+$`)) as string,
        },
      ],
    });
  });

  it('has each container that failed of several', async () => {
    const host = getHost();
    const specs = ['one', 'two'].map((base) =>
      writeSpec(host, base, { process: { args: [`no-${base}`], stopTimeout: '0s' } }),
    );
    const { status, stdout } = await call('apply', '--json', ...specs.map(({ file }) => file));
    expect(status).toBe(1);
    expect(lastEvent(stdout)).toMatchObject({
      failures: specs.map(({ name }) => ({ container: name, step: 'bundle' })),
    });
  });

  it('has the diagnostics of specs, as those of validate are', async () => {
    const { file } = writeSpec(getHost(), 'wrong', { process: { arg: ['true'] } });
    const validated = parse((await call('validate', '--json', file)).stdout) as { diagnostics: unknown };
    const { diagnostics } = validated;
    expect(diagnostics).toMatchObject([{ code: 'unknown-key', hint: 'did you mean args?' }]);
    expect(lastEvent((await call('apply', '--json', file)).stdout)).toEqual({
      event: 'failed',
      status: 2,
      diagnostics,
    });
    expect(parse((await call('plan', '--json', file)).stdout)).toEqual({
      failed: true,
      status: 2,
      diagnostics,
    });
  });

  it('is there too when the command line itself is wrong', async () => {
    const { stdout } = await call('apply', '--json', '--nosuch', 'a.yaml');
    expect(lastEvent(stdout)).toMatchObject({
      event: 'failed',
      status: 2,
      failures: [{ hint: expect.any(String) as string }],
    });
    expect(parse((await call('--lock-timeout', 'xx', 'ps', '--json')).stdout)).toMatchObject({
      failed: true,
    });
    expect((await call('exec', 'nobody', '--', 'program', '--json')).stdout).toBe('');
  });

  it('is one document of a command that gives one', async () => {
    const { status, stdout } = await call('status', '--json', 'nobody');
    expect(status).toBe(2);
    expect(parse(stdout)).toEqual({
      failed: true,
      status: 2,
      failures: [{ message: 'no container nobody is up', hint: expect.any(String) as string }],
    });
  });
});
