// What commands make of names, folders and users that are not as they were when a container was applied.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, list, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type PlacedSpec } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

describe.skipIf(!requireSystem())('the command line', () => {
  const getHost = shareHost();
  const keys = { process: { args: WAIT, stopTimeout: '0s' } };

  it('takes the name of a container for the spec that it was applied from, in any folder', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'named', keys);
    const other = writeSpec(host, 'other', keys);
    fs.appendFileSync(spec.file, `\n---\n${fs.readFileSync(other.file, 'utf8')}`);
    const inFolder = `cd ${spec.folder} && exec ${process.execPath} ${CLI} apply ${path.basename(spec.file)}`;
    expect((await host.exec(['bash', '-c', inFolder])).status).toBe(0);
    expect(await find(host, spec.name)).toMatchObject({ spec: spec.file });
    await succeed(host, 'down', other.name);
    expect(await pending(host, spec.name)).toEqual([]);
    expect(await host.runspec('validate', spec.name)).toMatchObject({ status: 0 });
    // The file has two, and only the one of that name is meant.
    await succeed(host, 'apply', spec.name);
    expect((await list(host)).map(({ name }) => name)).toEqual([spec.name]);
    fs.writeFileSync(spec.file, fs.readFileSync(other.file, 'utf8'));
    const renamed = await host.runspec('apply', spec.name);
    expect(renamed).toMatchObject({ status: 2 });
    expect(renamed.stderr).toContain(`${spec.file} has no spec of ${spec.name} any more`);
    fs.rmSync(spec.file);
    const gone = await host.runspec('apply', spec.name);
    expect(gone).toMatchObject({ status: 2 });
    expect(gone.stderr).toContain(`${spec.file}, which ${spec.name} was applied from, is gone`);
    await succeed(host, 'down', spec.name);
    expect((await host.runspec('plan', spec.name)).stderr).toContain(`there is no spec ${spec.name}`);
  });

  it('asks which is meant when a name is a container and a folder of something else', async () => {
    const host = getHost();
    const [both, other] = [writeSpec(host, 'both', keys), writeSpec(host, 'inside', keys)];
    await succeed(host, 'apply', both.file);
    const place = path.join(host.folder, 'specs', both.name);
    fs.mkdirSync(place);
    fs.copyFileSync(other.file, path.join(place, 'spec.json'));
    const call = (...args: readonly string[]) =>
      host.exec(['bash', '-c', `cd ${both.folder} && exec ${process.execPath} ${CLI} "$@"`, 'bash', ...args]);
    for (const command of ['plan', 'apply']) {
      const { status, stderr } = await call(command, both.name);
      expect({ command, status }).toEqual({ command, status: 2 });
      expect(stderr).toContain(`${both.name} is a container, applied from ${both.file}, and something else`);
    }
    expect((await call('apply', `./${both.name}`)).status).toBe(0);
    expect((await list(host)).map(({ name }) => name).toSorted()).toEqual([both.name, other.name].toSorted());
    // The container is from the folder now: both stand for the same.
    fs.renameSync(both.file, path.join(place, path.basename(both.file)));
    expect((await call('apply', `./${both.name}`)).status).toBe(0);
    expect((await call('apply', both.name)).status).toBe(0);
    await succeed(host, 'down', '--all');
    fs.rmSync(place, { recursive: true });
  });

  it('says which containers their file or folder has no spec of any more, and leaves them up', async () => {
    const host = getHost();
    const folder = path.join(host.folder, 'specs/site');
    fs.mkdirSync(folder);
    const [one, two, three] = ['one', 'two', 'three'].map((base) => {
      const { name, file } = writeSpec(host, base, keys);
      const moved = path.join(folder, path.basename(file));
      fs.renameSync(file, moved);
      return { name, file: moved };
    }) as [PlacedSpec, PlacedSpec, PlacedSpec];
    const say = async (...args: readonly string[]): Promise<readonly string[]> => {
      const { stderr } = await host.runspec(...args);
      return stderr.split('\n').filter((line) => line.includes('has no spec of it any more'));
    };
    expect(await say('apply', folder)).toEqual([]);
    fs.rmSync(three.file);
    fs.writeFileSync(two.file, fs.readFileSync(two.file, 'utf8').replace(two.name, `${two.name}-new`));
    const gone = [two, three]
      .map(({ name, file }) => `${name} is up, and ${file} has no spec of it any more: runspec down ${name}`)
      .toSorted();
    for (const args of [
      ['plan', folder],
      ['apply', folder],
      ['apply', folder],
    ])
      expect([...(await say(...args))].toSorted()).toEqual(gone);
    // A folder does not stand for every file in it.
    const hidden = writeSpec(host, 'hidden', keys);
    const aside = path.join(folder, '.hidden.json');
    fs.renameSync(hidden.file, aside);
    await succeed(host, 'apply', aside);
    expect([...(await say('apply', folder))].toSorted()).toEqual(gone);
    expect(await say('apply', one.file)).toEqual([]);
    expect(await say('apply', two.file)).toEqual(gone.filter((line) => line.includes(two.file)));
    expect(await say('apply', one.name)).toEqual([]);
    expect((await find(host, three.name)).state).toBe('running');
    await succeed(host, 'down', '--all');
  });

  it('does not take down all when a name is given too', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'stays', keys);
    await succeed(host, 'apply', spec.file);
    expect(await host.runspec('down', '--all', spec.name)).toMatchObject({ status: 2 });
    expect((await find(host, spec.name)).state).toBe('running');
    await succeed(host, 'down', '--all');
  });

  it('says of an unknown container what is wrong, and 2 in all commands that only look', async () => {
    for (const command of ['status', 'logs', 'diff']) {
      const { status, stderr } = await getHost().runspec(command, 'nobody');
      expect({ command, status }).toEqual({ command, status: 2 });
      expect(stderr).toMatch(/no container nobody/);
    }
  });

  it('completes commands, options, names and shells in bash', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'completed', keys);
    await succeed(host, 'apply', spec.file);
    const complete = async (...words: readonly string[]): Promise<readonly string[]> => {
      const script = `
        runspec() { ${process.execPath} ${CLI} "$@"; }
        . <(runspec completion bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _runspec
        echo "\${COMPREPLY[@]}"`;
      return (await host.output(['bash', '-c', script, 'bash', 'runspec', ...words])).trim().split(' ');
    };
    expect(await complete('ap')).toEqual(['apply']);
    expect(await complete('--state-dir', '/x', 'ap')).toEqual(['apply']);
    expect(await complete('apply', '--keep')).toEqual(['--keep-on-failure']);
    for (const command of ['down', 'exec', 'plan'])
      expect(await complete(command, spec.name.slice(0, -1))).toEqual([spec.name]);
    expect(await complete('image', 'gc', '--j')).toEqual(['--json']);
    expect(await complete('completion', 'z')).toEqual(['zsh']);
    await succeed(host, 'down', spec.name);
  });

  it('has doctor tell of folders that nothing can be kept in', async () => {
    const host = getHost();
    const folder = path.join(host.folder, 'disk');
    fs.mkdirSync(folder);
    const look = (place: string) =>
      host.runspec('--data-dir', `${folder}${place}`, '--state-dir', `${folder}/state`, 'doctor');
    await host.output(['mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder]);
    const { status, stdout } = await look('/data');
    expect(status).toBe(1);
    expect(stdout).toContain(`missing  data folder        ${folder}/data cannot be written to`);
    expect(stdout).toContain(`missing  state folder       ${folder}/state cannot be written to`);
    await host.output(['mount', '-o', 'remount,rw', folder]);
    for (const base of ['lower', 'upper', 'work']) fs.mkdirSync(path.join(host.folder, base));
    const options = ['lower', 'upper', 'work'].map((base) => `${base}dir=${host.folder}/${base}`).join(',');
    await host.output(['sh', '-euc', 'mkdir over; mount -t overlay -o "$0" overlay over', options]);
    const over = await host.runspec('--data-dir', `${host.folder}/over/data`, 'doctor');
    expect(over.status).toBe(0);
    expect(over.stdout).toContain('overlayfs keeps no writable layer on overlay');
    await host.output(['sh', '-euc', 'umount disk over; rmdir disk lower upper over; rm -r work']);
  });

  it.each(['schema', '--version', '--help', 'apply --help'])(
    'does not end well when what it says cannot be written: %s',
    async (words) => {
      const script = `${process.execPath} ${CLI} ${words} >/dev/full`;
      const { status, stderr } = await getHost().exec(['bash', '-c', script]);
      const said = /^error: what was to be written is lost: ENOSPC: no space left on device, write$/m;
      expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(said) as string });
    },
  );

  it('tells others than root that they may not look', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'private', keys);
    await succeed(host, 'apply', spec.file);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-test-nobody-'));
    fs.chmodSync(folder, 0o755);
    fs.copyFileSync(CLI, path.join(folder, 'cli.js'));
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
    for (const args of [['ps'], ['status', spec.name], ['logs', spec.name]]) {
      const { status, stderr } = await host.exec([...nobody, `${folder}/cli.js`, ...args]);
      expect({ args, status }).toEqual({ args, status: 2 });
      expect(stderr).toMatch(
        /^error: no permission for \/.*\n {2}hint: this needs root: run it with sudo\n$/,
      );
    }
    // Of which they see the cgroup and the links, and not the records.
    fs.chmodSync(host.folder, 0o711);
    fs.copyFileSync(spec.file, path.join(folder, 'spec.json'));
    const plan = await host.output([...nobody, `${folder}/cli.js`, 'plan', `${folder}/spec.json`]);
    fs.chmodSync(host.folder, 0o700);
    expect(plan).toMatch(/: \d+ to create, 0 to update, 0 to replace, 0 to delete\n$/);
    expect(plan.split('\n').filter((line) => /^ {2}[^+ ]/.test(line))).toEqual([]);
    fs.rmSync(folder, { recursive: true });
    await succeed(host, 'down', spec.name);
  });

  it('does nothing as root by folders that others can write to', async () => {
    const host = getHost();
    const { name, file } = writeSpec(host, 'place', keys);
    await succeed(host, 'apply', file);
    const commands = [['apply', file], ['down', name], ['exec', name, '--', 'id'], ['gc'], ['image', 'gc']];
    const expectRefusals = async (what: string): Promise<void> => {
      for (const words of commands) {
        const { status, stderr } = await host.runspec(...words);
        expect(stderr).toMatch(new RegExp(`^error: cannot use the (data|state) folder \\S+: ${what}`, 'm'));
        expect(status).toBe(2);
      }
      expect((await host.runspec('doctor')).stdout).toContain('cannot use the');
      expect(await host.runspec('validate', file)).toMatchObject({ status: 0 });
    };
    fs.chownSync(host.dataDir, 1000, 1000);
    await expectRefusals('it belongs to user 1000');
    fs.chownSync(host.dataDir, 0, 0);
    fs.chmodSync(host.folder, 0o777);
    await expectRefusals(`${host.folder} can be written by anybody`);
    fs.chmodSync(host.folder, 0o700);
    expect(await find(host, name)).toMatchObject({ state: 'running' });
    await succeed(host, 'down', name);
  });
});
