// What a volume begins with: the folder of the root filesystem that it covers, as with Docker and Podman.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { inside, succeed } from '../support/containers.ts';
import { removeUnderWork } from '../support/remove-under-work.ts';
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

  it('of several containers is filled from the first whose folder has anything in it', async () => {
    const host = getHost();
    // Its layers are there long before those of the other.
    const quick = write('quick', { shared: '/srv/nothing' });
    const keys = (text: string): SpecKeys => ({
      layers: [
        { files: { '/etc/passwd': 'ana:x:1000:1000::/:/bin/sh\n', '/srv/mine/text': text } },
        { files: { [`/srv/${text}`]: text.repeat(50_000) } },
      ],
    });
    const one = write('one', { shared: '/srv/mine' }, keys('one'));
    const two = write('two', { shared: '/srv/mine' }, keys('two'));
    const text = path.join(host.dataDir, 'volumes/shared/text');
    for (const [files, wanted] of [
      [[quick, one, two], 'one'],
      [[two, quick, one], 'two'],
      [[quick, two, one], 'two'],
    ] as const) {
      await succeed(host, 'apply', ...files.map(({ file }) => file));
      expect(fs.readFileSync(text, 'utf8')).toBe(wanted);
      await succeed(host, 'down', '--all', '--volumes');
      await succeed(host, 'image', 'gc');
    }
    // The first container decides when the others come in another call.
    await succeed(host, 'apply', quick.file);
    await succeed(host, 'apply', one.file);
    expect(fs.existsSync(text)).toBe(false);
    await succeed(host, 'down', '--all', '--volumes');
  });

  it('takes names of any bytes', async () => {
    const host = getHost();
    const script = `mkdir -p tree/srv/odd; cd tree/srv/odd; touch "$(printf 'caf\\351')" "$(printf 'a\\nb')" -- -C
      cd ../../..; tar -cf odd.tar -C tree .; rm -r tree`;
    await host.output(['sh', '-euc', `cd specs; ${script}`]);
    const { file, name } = write(
      'odd',
      { odd: '/srv/odd' },
      { layers: [{ files: { '/etc/passwd': 'ana:x:1000:1000::/:/bin/sh\n' } }, { tarball: './odd.tar' }] },
    );
    await succeed(host, 'apply', file);
    const names = fs.readdirSync(path.join(host.dataDir, 'volumes/odd'), 'latin1');
    expect(names.toSorted()).toEqual(['-C', 'a\nb', 'caf\u00e9']);
    await succeed(host, 'down', '--volumes', name);
  });

  it('that was there before is not taken away by an apply that fails', async () => {
    const host = getHost();
    const good = write('good', { data: FILLED });
    const broken = write('broken', { data: FILLED }, { process: { args: ['/srv/broken'] } });
    const isThere = (): boolean => fs.existsSync(path.join(host.dataDir, 'volumes/data/one'));
    await succeed(host, 'apply', good.file);
    expect((await host.runspec('apply', broken.file)).status).toBe(1);
    await succeed(host, 'down', good.name);
    expect((await host.runspec('apply', broken.file)).status).toBe(1);
    expect(isThere()).toBe(true);
    // Nor by one after another that was killed.
    const apply = await host.startRunspec('apply', broken.file);
    const pending = path.join(host.dataDir, 'containers', broken.name, 'pending.json');
    await expect.poll(() => fs.existsSync(pending), { timeout: 20_000, interval: 1 }).toBe(true);
    apply.kill('SIGKILL');
    await apply.ended;
    expect((await host.runspec('apply', broken.file)).status).toBe(1);
    expect(isThere()).toBe(true);
    await succeed(host, 'down', broken.name);
    await succeed(host, 'down', '--volumes', good.name);
  });

  it('is gone with the failure of an apply after one that was killed', async () => {
    const host = getHost();
    const { file, name } = write('killed', { data: FILLED });
    const before = await host.snapshot();
    const volume = path.join(host.dataDir, 'volumes/data');
    // Soon enough, or once more.
    const killHalfway = async (): Promise<void> => {
      for (;;) {
        const apply = await host.startRunspec('apply', file);
        await expect.poll(() => fs.existsSync(volume), { timeout: 20_000, interval: 1 }).toBe(true);
        apply.kill('SIGKILL');
        await apply.ended;
        if (!fs.existsSync(path.join(host.dataDir, 'containers', name, 'plan.json'))) return;
        await succeed(host, 'down', '--volumes', name);
      }
    };
    await killHalfway();
    write('killed', { data: FILLED }, { process: { args: ['/srv/broken'] } });
    expect((await host.runspec('apply', file)).status).toBe(1);
    expect(fs.existsSync(volume)).toBe(false);
    // The record gets lost too: gc knows that the volume was only begun.
    write('killed', { data: FILLED });
    await killHalfway();
    // Its conmon may be at work still.
    await removeUnderWork(path.join(host.dataDir, 'containers', name));
    await host.runspec('down', name);
    await succeed(host, 'gc');
    expect(fs.existsSync(path.dirname(volume))).toBe(false);
    await host.runspec('gc');
    fs.rmSync(file);
    expect((await host.settledDiff(before)).filter((line) => !line.includes('killed.json'))).toEqual([]);
  });

  it('is gone when the apply that made it fails, and whole or not there when that is killed', async () => {
    const host = getHost();
    const broken = write('broken', { data: FILLED }, { process: { args: ['/srv/broken'] } });
    const before = await host.snapshot();
    const failed = await host.runspec('apply', broken.file);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toMatch(/^\+ .*volumes\/data, when new filled from/m);
    expect(await host.settledDiff(before)).toEqual([]);
    // As a kill leaves it.
    host.write('data/volumes/.new.999999-1-0/folder/half', '');
    expect((await host.runspec('gc')).status).toBe(0);
    expect(fs.readdirSync(path.join(host.dataDir, 'volumes'))).toEqual([]);
    fs.rmdirSync(path.join(host.dataDir, 'volumes'));
  });

  it('is gone when the run that made it could not start its process, and stays once anything was written', async () => {
    const host = getHost();
    const volumes = (): readonly string[] =>
      fs.readdirSync(path.join(host.dataDir, 'volumes')).filter((name) => !name.startsWith('.'));
    const run = async (args: readonly string[], keys: SpecKeys = {}) => {
      const process = { args, stopTimeout: '0s' };
      const { file } = write('run', { data: FILLED, fresh: '/fresh' }, { process, ...keys });
      return host.runspec('run', file);
    };
    const other = write('other', { others: '/others' });
    await succeed(host, 'apply', other.file);
    const before = await host.snapshot();
    for (const [args, keys] of [
      // The kernel refuses the program, and the runtime a parameter.
      [['/srv/broken'], { writable: 'persistent' }],
      [WAIT, { sysctls: { 'kernel.msgmax': '-5' } }],
    ] as const) {
      expect((await run(args, keys)).status).toBe(125);
      const left = await host.settledDiff(before);
      expect(left.filter((line) => !line.includes('/specs/run.json'))).toEqual([]);
    }
    // It only says what a runtime says whose program does not begin.
    const script =
      'open F, ">", "/fresh/mine"; print STDERR "exec /app: no such file or directory\\n"; exit 1';
    expect((await run(['perl', '-e', script])).status).toBe(125);
    expect(volumes()).toEqual(['fresh', 'others']);
    expect((await run(['/srv/broken'])).status).toBe(125);
    expect(volumes()).toEqual(['fresh', 'others']);
    expect(fs.readdirSync(path.join(host.dataDir, 'volumes/fresh'))).toEqual(['mine']);
    expect((await run(['perl', '-e', 'exit 1'])).status).toBe(1);
    expect(volumes()).toEqual(['data', 'fresh', 'others']);
    await succeed(host, 'down', '--all', '--volumes');
  });
});
