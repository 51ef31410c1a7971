// What a volume begins with: the folder of the root filesystem that it covers, as with Docker and Podman.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { inside, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';

const FILLED = '/var/lib/filled';

/** A layer with a folder of the user ana, an empty one that anyone may write to, and symlinks that lead elsewhere. */
function makeLayer(host: TestHost, outside: string): string {
  const layer = path.join(host.folder, 'specs/layer');
  const folder = path.join(layer, FILLED);
  fs.mkdirSync(path.join(folder, 'below'), { recursive: true });
  fs.writeFileSync(path.join(folder, 'one'), 'one\n');
  fs.linkSync(path.join(folder, 'one'), path.join(folder, 'below/same'));
  fs.symlinkSync('/etc/passwd', path.join(folder, 'link'));
  for (const file of ['one', 'below', '.']) fs.chownSync(path.join(folder, file), 1000, 1000);
  fs.chmodSync(folder, 0o2750);
  fs.mkdirSync(path.join(layer, 'srv/open'), { recursive: true });
  fs.chmodSync(path.join(layer, 'srv/open'), 0o1777);
  fs.writeFileSync(path.join(layer, 'srv/broken'), '\u007FELF\u0002\u0001\u0001', { mode: 0o755 });
  fs.symlinkSync(outside, path.join(layer, 'srv/escape'));
  fs.symlinkSync(FILLED, path.join(layer, 'srv/inner'));
  return layer;
}

describe.skipIf(!requireSystem())('a new volume', () => {
  let outside = '';
  let layer = '';
  const getHost = shareHost({
    start: async (host) => {
      host.write('specs/outside/secret', 'secret\n');
      outside = path.join(host.folder, 'specs/outside');
      layer = makeLayer(host, outside);
    },
  });
  const write = (base: string, volumes: Readonly<Record<string, string>>, keys: SpecKeys = {}) =>
    writeSpec(getHost(), base, {
      layers: [
        { files: { '/etc/passwd': 'root:x:0:0::/:/bin/sh\nana:x:1000:1000::/:/bin/sh\n' } },
        { directory: layer, destination: '/' },
      ],
      process: { args: WAIT, stopTimeout: '0s', user: '1000:1000' },
      mounts: Object.entries(volumes).map(([source, destination]) => ({
        type: 'volume',
        source,
        destination,
      })),
      ...keys,
    });
  const find = async (volume: string): Promise<readonly string[]> => {
    const folder = path.join(getHost().dataDir, 'volumes', volume);
    const text = await getHost().output(['find', folder, '-printf', '%P %m %U:%G %y %l\\n']);
    return text.replace(/\n$/, '').split('\n').toSorted();
  };

  it('has the content, the owner and the mode of the folder that it covers, and is not filled again', async () => {
    const host = getHost();
    const { file, name } = write('first', { data: FILLED, open: '/srv/open', fresh: '/new/place' });
    await succeed(host, 'apply', file);
    expect(await find('data')).toEqual([
      ' 2750 1000:1000 d ',
      'below 755 1000:1000 d ',
      'below/same 644 1000:1000 f ',
      'link 777 0:0 l /etc/passwd',
      'one 644 1000:1000 f ',
    ]);
    expect(await find('open')).toEqual([' 1777 0:0 d ']);
    expect(await find('fresh')).toEqual([' 755 0:0 d ']);
    const volume = path.join(host.dataDir, 'volumes/data');
    expect(fs.statSync(path.join(volume, 'one')).ino).toBe(fs.statSync(path.join(volume, 'below/same')).ino);
    // A process that is not root's can write where the image lets it.
    const script = `open(F, ">", "$_/mine") or die for qw(${FILLED} /srv/open); unlink "${FILLED}/one"`;
    expect((await inside(host, name)(['perl', '-e', script])).status).toBe(0);
    await succeed(host, 'apply', file);
    await succeed(host, 'down', name);
    const again = write('second', { data: FILLED });
    await succeed(host, 'apply', again.file);
    expect(fs.readdirSync(volume).toSorted()).toEqual(['below', 'link', 'mine']);
    await succeed(host, 'down', '--volumes', again.name);
    await succeed(host, 'down', '--volumes', name);
  });

  it('takes nothing of the host where symlinks of an image lead out, and follows them inside', async () => {
    const host = getHost();
    const { file, name } = write('links', { escape: '/srv/escape', inner: '/srv/inner' });
    await succeed(host, 'apply', file);
    expect(await find('escape')).toEqual([' 755 0:0 d ']);
    expect(await find('inner')).toContain('one 644 1000:1000 f ');
    await succeed(host, 'down', '--volumes', name);
    expect(fs.readdirSync(outside)).toEqual(['secret']);
  });

  it('is gone when the apply that made it fails, and whole or not there when that is killed', async () => {
    const host = getHost();
    const broken = write('broken', { data: FILLED }, { process: { args: ['/srv/broken'] } });
    const before = await host.snapshot();
    const failed = await host.runspec('apply', broken.file);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toMatch(/^\+ .*volumes\/data, filled from/m);
    expect(await host.settledDiff(before)).toEqual([]);
    // As a kill leaves it.
    host.write('data/volumes/.new.999999-1-0/folder/half', '');
    expect((await host.runspec('gc')).status).toBe(0);
    expect(fs.readdirSync(path.join(host.dataDir, 'volumes'))).toEqual([]);
    fs.rmdirSync(path.join(host.dataDir, 'volumes'));
  });
});
