// What a container has written, when the layers below it change; and folders with names of all kinds.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, inside, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');
const PASSWD = 'root:x:0:0:root:/root:/bin/bash\n';

describe.skipIf(!requireSystem())('what a container has written', () => {
  const getHost = shareHost({});

  it.each([
    ['ephemeral', ['new\n', false]],
    ['persistent', ['written\n', true]],
  ] as const)('when a layer below is another, %s', async (writable, [config, isThere]) => {
    const host = getHost();
    const write = (text: string) =>
      writeSpec(host, writable, {
        process: { args: WAIT, stopTimeout: '0s' },
        layers: [{ files: { '/etc/passwd': PASSWD, '/etc/app.conf': text } }],
        writable,
      });
    const { file, name } = write('old\n');
    await succeed(host, 'apply', file);
    const script = 'open(F, ">", $_) && print F "written\\n" for qw(/etc/app.conf /more)';
    expect((await inside(host, name)(['perl', '-e', script])).status).toBe(0);
    // Not by what changes nothing below it.
    await succeed(host, 'apply', file);
    expect((await inside(host, name)(['cat', '/etc/app.conf'])).stdout).toBe('written\n');
    write('new\n');
    await succeed(host, 'apply', file);
    expect((await inside(host, name)(['cat', '/etc/app.conf'])).stdout).toBe(config);
    expect((await inside(host, name)(['cat', '/more'])).status === 0).toBe(isThere);
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--volumes', name);
  });

  it('serves over other layers also where the kernel has an index by default', async () => {
    const host = getHost();
    // As CONFIG_OVERLAY_FS_INDEX does it: on, unless the options say otherwise.
    const wrapper = `#!/bin/sh
for word in "$@"; do
  shift
  case $word in *upperdir=*) word="index=on,$word";; esac
  set -- "$@" "$word"
done
exec /bin/mount "$@"
`;
    const mount = host.write('specs/indexed/mount', wrapper);
    fs.chmodSync(mount, 0o755);
    const PATH = `${path.dirname(mount)}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
    const write = (text: string) =>
      writeSpec(host, 'indexed', {
        process: { args: WAIT, stopTimeout: '0s' },
        layers: [{ files: { '/etc/passwd': PASSWD, '/etc/app.conf': text } }],
        writable: 'persistent',
      });
    const { file, name } = write('old\n');
    const apply = (): Promise<string> =>
      host.output([process.execPath, CLI, 'apply', file], { env: { PATH } });
    await apply();
    write('new\n');
    await apply();
    expect((await inside(host, name)(['cat', '/etc/app.conf'])).stdout).toBe('new\n');
    await succeed(host, 'down', '--volumes', name);
  });

  it.each(['with:colons', 'mit Umläuten', 'with,commas=and%signs'])(
    'is kept in a folder %s, as is what its process says',
    async (base) => {
      const host = getHost();
      const folder = path.join(host.folder, 'data', base);
      const places = ['--data-dir', path.join(folder, 'data'), '--state-dir', `/run/${base}`];
      const { file, name } = writeSpec(host, 'odd', {
        process: { args: ['perl', '-e', '$| = 1; print "said\\n"; sleep 1000'], stopTimeout: '0s' },
      });
      fs.mkdirSync(folder, { recursive: true });
      await succeed(host, ...places, 'apply', file);
      await expect
        .poll(() => succeed(host, ...places, 'logs', name), { timeout: 20_000, interval: 50 })
        .toBe('said\n');
      expect((await host.runspec(...places, 'exec', name, '--', 'cat', '/etc/hostname')).stdout).toBe(
        `${name}\n`,
      );
      await succeed(host, ...places, 'down', name);
      const once = writeSpec(host, 'odd', { process: { args: ['perl', '-e', 'print "said\\n"'] } });
      expect(await succeed(host, ...places, 'run', once.file)).toBe('said\n');
      expect(
        fs.readdirSync(path.dirname(folder)).filter((one) => one !== base && base.startsWith(one)),
      ).toEqual([]);
      await succeed(host, ...places, 'image', 'gc');
      fs.rmSync(folder, { recursive: true });
    },
  );

  it('moves with its state folder, of which nothing stays behind', async () => {
    const host = getHost();
    const before = await host.snapshot();
    const { file, name } = writeSpec(host, 'moves', { process: { args: WAIT, stopTimeout: '0s' } });
    await succeed(host, '--state-dir', '/run/from', 'apply', file);
    await succeed(host, '--state-dir', '/run/to', 'apply', file);
    expect((await find(host, name)).state).toBe('running');
    expect(await host.output(['cat', '/proc/self/mountinfo'])).not.toContain('/run/from');
    await succeed(host, '--state-dir', '/run/to', 'down', name);
    fs.rmSync(file);
    const left = await host.settledDiff(before);
    expect(left).toEqual([]);
  });
});
