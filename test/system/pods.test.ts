// Containers that share namespaces: one apply brings all of them to where their specs say, and restarts no more of them
// than it has to.
import { describe, expect, it } from 'vitest';
import { find, identify, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';

describe.skipIf(!requireSystem())('containers that share namespaces', () => {
  const getHost = shareHost({});
  const spec = (keys: SpecKeys): SpecKeys => ({ process: { args: WAIT, stopTimeout: '0s' }, ...keys });
  const namespaceOf = async (type: string, name: string): Promise<string> => {
    const { pid } = await find(getHost(), name);
    return getHost().output(['readlink', `/proc/${pid}/ns/${type}`]);
  };

  it('are one apply away from a change of the one that they join', async () => {
    const host = getHost();
    const network = { bridge: 'pod0', subnet: '10.74.0.0/24' };
    const main = writeSpec(host, 'main', spec({ network }));
    const join = (...types: string[]): SpecKeys =>
      spec({ namespaces: Object.fromEntries(types.map((type) => [type, `container:${main.name}`])) });
    const inside = writeSpec(host, 'inside', join('network', 'pid', 'ipc'));
    const beside = writeSpec(host, 'beside', join('network'));
    // In an order in which none can be made.
    const all = [inside.file, beside.file, main.file];
    await succeed(host, 'apply', ...all);
    const kept = await identify(host, beside.name);
    const former = await identify(host, inside.name);

    writeSpec(host, 'main', spec({ network, process: { args: WAIT, stopTimeout: '0s', env: { NEW: '1' } } }));
    const { stdout } = await host.runspec('plan', ...all);
    expect(stdout).toMatch(new RegExp(`^${inside.name}: 0 to create, 0 to update, 2 to replace`, 'm'));
    // In the order of apply.
    expect(stdout.indexOf(`${main.name}: `)).toBeLessThan(stdout.indexOf(`${inside.name}: `));
    expect(stdout).toContain(`the pid namespace of ${main.name} is made anew`);
    expect(stdout).toContain(`${beside.name}: nothing to do`);
    await succeed(host, 'apply', ...all);
    expect(await identify(host, beside.name)).toBe(kept);
    expect(await identify(host, inside.name)).not.toBe(former);
    for (const type of ['net', 'pid', 'ipc'])
      expect(await namespaceOf(type, inside.name)).toBe(await namespaceOf(type, main.name));
    expect(await namespaceOf('net', beside.name)).toBe(await namespaceOf('net', main.name));
    for (const { file } of [inside, beside, main]) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('find the same names in a network that they share, and their own', async () => {
    const host = getHost();
    const main = (hosts: Readonly<Record<string, string>>): SpecKeys =>
      spec({
        network: { bridge: 'pod0', subnet: '10.74.0.0/24', ipv6: false },
        hostname: 'head',
        dns: { servers: ['192.0.2.1'], search: [], options: [], hosts },
      });
    const { name, file } = writeSpec(host, 'named', main({ db: '10.0.0.5' }));
    const join = { network: `container:${name}`, uts: `container:${name}` };
    const both = writeSpec(host, 'both', spec({ namespaces: join }));
    const network = writeSpec(host, 'net', spec({ namespaces: { network: join.network } }));
    const uts = writeSpec(host, 'outside', spec({ namespaces: { uts: 'host' } }));
    const etc = (container: string, of: string): Promise<string> =>
      succeed(host, 'exec', container, '--', 'cat', `/etc/${of}`);
    await succeed(host, 'apply', file);
    await succeed(host, 'apply', both.file, network.file, uts.file);
    expect(await etc(both.name, 'hostname')).toBe('head\n');
    expect(await etc(both.name, 'hosts')).toBe(await etc(name, 'hosts'));
    expect(await etc(both.name, 'resolv.conf')).toBe('nameserver 192.0.2.1\n');
    expect(await etc(network.name, 'hosts')).toMatch(
      new RegExp(`\n10\\.74\\.0\\.2\thead\n10\\.0\\.0\\.5\tdb\n10\\.74\\.0\\.2\t${network.name}\n$`),
    );
    const outside = await host.output(['cat', '/proc/sys/kernel/hostname']);
    expect(await etc(uts.name, 'hostname')).toBe(outside);
    expect(await etc(uts.name, 'hosts')).toContain(`\n127.0.1.1\t${outside.trim()}`);
    const kept = await Promise.all([both, network].map((one) => identify(host, one.name)));
    writeSpec(host, 'named', main({ db: '10.0.0.6' }));
    await succeed(host, 'apply', file, both.file, network.file);
    for (const one of [both, network]) {
      expect(await etc(one.name, 'hosts')).toContain('\n10.0.0.6\tdb\n');
      expect(await pending(host, one.file)).toEqual([]);
    }
    expect(await Promise.all([both, network].map((one) => identify(host, one.name)))).toEqual(kept);
    await succeed(host, 'down', '--all');
  });

  it('are one apply away also when one joins what another has joined', async () => {
    const host = getHost();
    const uts = (name: string): SpecKeys => ({ namespaces: { uts: `container:${name}` } });
    const env = { process: { args: WAIT, stopTimeout: '0s', env: { NEW: '1' } } };
    const main = writeSpec(host, 'main', spec({}));
    const middle = writeSpec(host, 'middle', spec(uts(main.name)));
    const far = writeSpec(host, 'far', spec(uts(middle.name)));
    const all = [far.file, middle.file, main.file];
    await succeed(host, 'apply', ...all);
    // The process of the one in the middle goes, the namespace is not its own.
    const kept = await identify(host, far.name);
    writeSpec(host, 'middle', { ...spec(uts(main.name)), ...env });
    await succeed(host, 'apply', ...all);
    expect(await identify(host, far.name)).toBe(kept);
    writeSpec(host, 'main', spec({ hostname: 'other' }));
    await succeed(host, 'apply', ...all);
    for (const { name } of [middle, far])
      expect(await namespaceOf('uts', name)).toBe(await namespaceOf('uts', main.name));
    for (const file of all) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('are made anew with the process that the namespace was of, when its own is another one now', async () => {
    const host = getHost();
    const join = (type: string, name: string): SpecKeys => ({ namespaces: { [type]: `container:${name}` } });
    const main = writeSpec(host, 'main', spec({}));
    const middle = writeSpec(host, 'middle', spec({}));
    const far = writeSpec(host, 'far', spec(join('ipc', middle.name)));
    const all = [main.file, middle.file, far.file];
    await succeed(host, 'apply', ...all);
    writeSpec(host, 'middle', spec(join('ipc', main.name)));
    await succeed(host, 'apply', ...all);
    const expectTogether = async (): Promise<void> => {
      for (const { name } of [middle, far])
        expect(await namespaceOf('ipc', name)).toBe(await namespaceOf('ipc', main.name));
      for (const file of all) expect(await pending(host, file)).toEqual([]);
    };
    await expectTogether();
    await host.output(['kill', '-KILL', String((await find(host, main.name)).pid)]);
    await expect.poll(async () => (await find(host, main.name)).state, { timeout: 10_000 }).toBe('exited');
    await succeed(host, 'apply', ...all);
    await expectTogether();
    await succeed(host, 'down', '--all');
  });

  it('are seen to be elsewhere when that one was made anew without them', async () => {
    const host = getHost();
    const network = { bridge: 'pod0', subnet: '10.74.0.0/24' };
    const main = writeSpec(host, 'main', spec({ network }));
    const beside = writeSpec(
      host,
      'beside',
      spec({ namespaces: { network: `container:${main.name}`, uts: `container:${main.name}` } }),
    );
    await succeed(host, 'apply', main.file, beside.file);
    writeSpec(host, 'main', spec({ network, hostname: 'other' }));
    await succeed(host, 'apply', main.file);
    const { stdout } = await host.runspec('plan', beside.file);
    expect(stdout).toMatch(/uts namespace of \S+: uts:\[\d+\] -> uts:\[\d+\]/);
    expect(stdout).not.toContain('network namespace of');
    await succeed(host, 'apply', beside.file);
    expect(await namespaceOf('uts', beside.name)).toBe(await namespaceOf('uts', main.name));
    await succeed(host, 'down', '--all');
  });

  it('are one apply away also when the one that they join is elsewhere itself', async () => {
    const host = getHost();
    const uts = (name: string): SpecKeys => spec({ namespaces: { uts: `container:${name}` } });
    const main = writeSpec(host, 'main', spec({}));
    const middle = writeSpec(host, 'middle', uts(main.name));
    const far = writeSpec(host, 'far', uts(middle.name));
    await succeed(host, 'apply', main.file, middle.file, far.file);
    writeSpec(host, 'main', spec({ hostname: 'other' }));
    await succeed(host, 'apply', main.file);
    await succeed(host, 'apply', far.file, middle.file);
    for (const { name } of [middle, far])
      expect(await namespaceOf('uts', name)).toBe(await namespaceOf('uts', main.name));
    for (const { file } of [main, middle, far]) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('come back when their process namespace has gone with its owner', async () => {
    const host = getHost();
    const main = writeSpec(host, 'main', spec({}));
    const types = ['pid', 'ipc', 'uts'];
    const join = Object.fromEntries(types.map((type) => [type, `container:${main.name}`]));
    const inside = writeSpec(host, 'inside', spec({ namespaces: join }));
    await succeed(host, 'apply', main.file, inside.file);
    writeSpec(host, 'main', spec({ process: { args: WAIT, stopTimeout: '0s', env: { NEW: '1' } } }));
    const said = `${inside.name} is in the pid namespace of ${main.name}, and ends with its process: apply it as well\n`;
    expect((await host.runspec('plan', main.file)).stderr).toBe(said);
    expect((await host.runspec('plan', main.file, inside.file)).stderr).toBe('');
    expect((await host.runspec('apply', main.file)).stderr).toContain(said);
    await expect.poll(async () => (await find(host, inside.name)).state, { timeout: 10_000 }).toBe('exited');
    await succeed(host, 'apply', inside.file);
    for (const type of types)
      expect(await namespaceOf(type, inside.name)).toBe(await namespaceOf(type, main.name));
    expect(await pending(host, inside.file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('keep the names of the network that they have joined until they are applied, and that is said', async () => {
    const host = getHost();
    const named = (address: string): SpecKeys => ({ dns: { hosts: { db: address } } });
    const main = writeSpec(host, 'main', spec(named('10.9.9.1')));
    const side = writeSpec(host, 'side', spec({ namespaces: { network: `container:${main.name}` } }));
    await succeed(host, 'apply', main.file, side.file);
    const names = (): Promise<string> => succeed(host, 'exec', side.name, '--', 'cat', '/etc/hosts');
    writeSpec(host, 'main', spec(named('10.9.9.2')));
    const said = `${side.name} is in the network of ${main.name}, and keeps its former names: apply it as well\n`;
    expect((await host.runspec('plan', main.file, side.file)).stderr).toBe('');
    expect((await host.runspec('apply', main.file)).stderr).toContain(said);
    expect(await names()).toContain('10.9.9.1');
    expect((await host.runspec('apply', side.file)).stderr).not.toContain('former names');
    expect(await names()).toContain('10.9.9.2');
    expect((await host.runspec('apply', main.file)).stderr).not.toContain('former names');
    await succeed(host, 'down', '--all');
  });

  it('keep the network that they have joined from being given up', async () => {
    const host = getHost();
    const join = (name: string): SpecKeys => ({ namespaces: { network: `container:${name}` } });
    const network = { bridge: 'pod0', subnet: '10.74.0.0/24' };
    const main = writeSpec(host, 'main', spec({ network }));
    const middle = writeSpec(host, 'middle', spec({ network }));
    const far = writeSpec(host, 'far', spec(join(middle.name)));
    const farther = writeSpec(host, 'farther', spec(join(far.name)));
    const all = [farther.file, far.file, middle.file, main.file];
    await succeed(host, 'apply', ...all);
    const joined = [far.name, farther.name];
    const identities = await Promise.all(joined.map((name) => identify(host, name)));

    writeSpec(host, 'middle', spec(join(main.name)));
    for (const words of [
      ['plan', middle.file],
      ['apply', middle.file],
      ['apply', ...all],
    ]) {
      const { status, stderr } = await host.runspec(...words);
      expect(status).toBe(2);
      const reason = `would give up its network namespace, which ${joined.join(', ')} join`;
      expect(stderr).toMatch(new RegExp(`^${middle.file}:\\d+:\\d+: ${middle.name} ${reason}$`, 'm'));
      expect(stderr).toContain(`hint: take down first: runspec down ${joined.join(' ')}\n`);
    }
    expect(await Promise.all(joined.map((name) => identify(host, name)))).toEqual(identities);

    await succeed(host, 'down', ...joined);
    const { stdout } = await host.runspec('plan', ...all);
    expect(stdout).toMatch(
      new RegExp(`= bridge:pod0 .*\\n +no longer in the spec: kept, used by ${main.name}\\n`),
    );
    expect(stdout).toMatch(/- veth:eth0 .*\n +no longer in the spec\n/);
    await succeed(host, 'apply', ...all);
    for (const name of [middle.name, ...joined])
      expect(await namespaceOf('net', name)).toBe(await namespaceOf('net', main.name));
    for (const file of all) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('are not applied when the one that they join ends at once, and its last words are told', async () => {
    const host = getHost();
    const join = (types: Readonly<Record<string, string>>): SpecKeys => spec({ namespaces: types });
    const words = ['bash', '-c', 'echo fatal: no config >&2; exit 3'];
    const main = writeSpec(host, 'crashing', { process: { args: words } });
    // It starts after another one: by then the first one is sure to have ended.
    const first = writeSpec(host, 'first', spec({}));
    const slow = writeSpec(host, 'slow', join({ uts: `container:${first.name}` }));
    const types = { pid: `container:${main.name}`, ipc: `container:${slow.name}` };
    const late = writeSpec(host, 'late', join(types));
    const { status, stderr } = await host.runspec('apply', main.file, first.file, slow.file, late.file);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `^\\S+:\\d+:\\d+: error: bundle: the pid namespace of ${main.name} cannot be joined: ` +
          `${main.name}, applied by this same call, has ended with status 3\n  [|] fatal: no config$`,
        'm',
      ),
    );
    expect(await succeed(host, 'ps', '--json')).toBe('[]\n');
  });

  it('are not applied when the one that they join has failed', async () => {
    const host = getHost();
    const main = writeSpec(host, 'main', { process: { args: ['/no/such/program'] } });
    const beside = writeSpec(host, 'beside', spec({ namespaces: { ipc: `container:${main.name}` } }));
    const { status, stderr } = await host.runspec('apply', main.file, beside.file);
    expect(status).toBe(1);
    expect(stderr.match(/no program \/no\/such\/program/g)).toHaveLength(1);
    expect(stderr).toContain(
      `${beside.name} is not applied: ${main.name}, whose namespaces it joins, failed`,
    );
    expect(JSON.parse(await succeed(host, 'ps', '--json'))).toEqual([]);
  });
});
