// runspec diff: what a container did to its files, as Docker would tell it.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { inside, succeed } from '../support/containers.ts';
import { programs, requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { findTools, writeSpec, type PlacedSpec } from '../support/specs.ts';

const LAYER = {
  files: {
    '/srv/kept': 'kept\n',
    '/srv/gone': 'gone\n',
    '/srv/touched': 'touched\n',
    '/srv/folder/one': 'one\n',
    '/srv/folder/two': 'two\n',
    '/srv/replaced/below': 'below\n',
    '/srv/renamed/inner/file': 'file\n',
    '/srv/attribute': 'attribute\n',
    '/srv/opened': 'opened\n',
    '/srv/deep/er/file': 'deep\n',
    '/opt/empty/file': 'file\n',
  },
};

describe.skipIf(!requireSystem() || !programs('getfattr', 'setfattr'))('diff', () => {
  const specs = new Map<string, PlacedSpec>();
  const getHost = shareHost({
    start: async (host) => {
      for (const [base, keys] of Object.entries({
        busy: {
          mounts: [
            { type: 'volume', source: 'data', destination: '/srv/volume' },
            { type: 'tmpfs', destination: '/tmp' },
          ],
        },
        idle: {},
        readonly: { rootfs: { host: { files: findTools() }, readonly: true } },
        kept: { writable: 'persistent' },
      })) {
        const spec = writeSpec(host, base, {
          rootfs: { host: { files: findTools() } },
          layers: [LAYER],
          ...keys,
        });
        specs.set(base, spec);
        await succeed(host, 'apply', spec.file);
      }
    },
  });
  const nameOf = (base: string): string => specs.get(base)?.name ?? '';
  const bash = async (base: string, script: string): Promise<void> => {
    const { status, stderr } = await inside(getHost(), nameOf(base))(['bash', '-euc', script]);
    expect(stderr).toBe('');
    expect(status).toBe(0);
  };
  const diff = async (base: string): Promise<readonly string[]> =>
    (await succeed(getHost(), 'diff', nameOf(base))).split('\n').slice(0, -1);

  it('finds nothing in a container that did nothing: what runspec put there is no change', async () => {
    expect(await diff('idle')).toEqual([]);
    expect(await succeed(getHost(), 'diff', nameOf('idle'), '--json')).toBe('[]\n');
  });

  it('finds nothing in a root that cannot be written', async () => {
    expect(await diff('readonly')).toEqual([]);
  });

  it('tells what was added, changed and deleted, with the folders on the way', async () => {
    await bash(
      'busy',
      `cd /srv
       echo more >>touched
       echo new >new; mkdir -p fresh/inner; echo x >fresh/inner/file
       rm gone
       rm -r folder; mkdir folder; echo 1 >folder/one
       rm -r replaced; ln -s kept replaced
       mv renamed moved
       setfattr -n user.note -v hello attribute
       : >>opened
       rm -r deep/er
       ln kept linked
       chmod 700 /opt/empty
       mkfifo pipe
       echo data >volume/file; echo t >/tmp/file
       touch 'new line' $'a\\nb' $'\\xff' 'back\\slash'`,
    );
    const changes = [
      'C /opt',
      'C /opt/empty',
      'C /srv',
      'A /srv/\\xff',
      'A /srv/a\\nb',
      'C /srv/attribute',
      'A /srv/back\\\\slash',
      'C /srv/deep',
      'D /srv/deep/er',
      'C /srv/folder',
      'C /srv/folder/one',
      'D /srv/folder/two',
      'A /srv/fresh',
      'A /srv/fresh/inner',
      'A /srv/fresh/inner/file',
      'D /srv/gone',
      'A /srv/linked',
      'A /srv/moved',
      'A /srv/moved/inner',
      'A /srv/moved/inner/file',
      'A /srv/new',
      'A /srv/new line',
      'A /srv/pipe',
      'D /srv/renamed',
      'C /srv/replaced',
      'C /srv/touched',
    ];
    expect((await diff('busy')).toSorted()).toEqual(changes.toSorted());
  });

  it('sorts by the bytes of the paths, and gives JSON the bytes of names that are not UTF-8', async () => {
    const document = JSON.parse(await succeed(getHost(), 'diff', nameOf('busy'), '--json')) as readonly {
      readonly kind: string;
      readonly path: string;
      readonly bytes?: string;
    }[];
    const raw = document.map(({ path: text, bytes }) =>
      bytes === undefined ? Buffer.from(text) : Buffer.from(bytes, 'base64'),
    );
    expect(raw.toSorted((a, b) => Buffer.compare(a, b))).toEqual(raw);
    expect(document).toContainEqual({ kind: 'A', path: '/srv/a\nb' });
    expect(document).toContainEqual({
      kind: 'A',
      path: '/srv/\uFFFD',
      bytes: Buffer.from('/srv/\xff', 'latin1').toString('base64'),
    });
  });

  it('goes on telling when the process has ended, and after a restart in a kept writable layer', async () => {
    const host = getHost();
    await bash('kept', 'echo note >/note; rm /srv/gone');
    const before = ['A /note', 'C /srv', 'D /srv/gone'];
    expect(await diff('kept')).toEqual(before);
    await succeed(host, 'down', nameOf('kept'));
    const { status, stderr } = await host.runspec('diff', nameOf('kept'));
    expect(status).toBe(2);
    expect(stderr).toContain(`no container ${nameOf('kept')} is up`);
    expect(stderr).toContain('its writable layer is kept');
    await succeed(host, 'apply', specs.get('kept')?.file ?? '');
    expect(await diff('kept')).toEqual(before);
  });

  it('changes nothing', async () => {
    const host = getHost();
    const writable = path.join(host.dataDir, 'containers', nameOf('busy'), 'writable');
    const upper = fs.readdirSync(writable).find((name) => name.startsWith('upper-')) ?? '';
    const look = (): bigint => fs.statSync(path.join(writable, upper, 'srv'), { bigint: true }).ctimeNs;
    const before = look();
    await diff('busy');
    expect(look()).toBe(before);
    const { status } = await host.runspec('status', nameOf('busy'));
    expect(status).toBe(0);
  });

  it('knows no container of another name', async () => {
    const { status, stderr } = await getHost().runspec('diff', 'nobody');
    expect(status).toBe(2);
    expect(stderr).toContain('no container nobody is up');
  });
});
