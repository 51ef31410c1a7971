// down: by what was applied, with what is shared, foreign or to be kept.
import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { drift, find, inside, list, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec } from '../support/specs.ts';

const NETWORK = { bridge: 'conv0', subnet: '10.70.0.0/24', address: '10.70.0.2', ports: ['8080:80'] };

describe.skipIf(!requireSystem())('down', () => {
  const foreign = 'foreign0';
  const getHost = shareHost({
    prepare: async (host) => {
      // Its address is that of its first port, as with a bridge around an uplink.
      await host.output(['ip', 'link', 'add', foreign, 'type', 'bridge', 'forward_delay', '0']);
      await host.output([
        'ip',
        'link',
        'add',
        'port0',
        'address',
        'fa:00:00:00:00:01',
        'type',
        'veth',
        'peer',
        'name',
        'port1',
      ]);
      await host.output(['ip', 'link', 'set', 'port0', 'master', foreign, 'up']);
      await host.output(['ip', 'link', 'set', 'port1', 'up']);
      await host.output(['ip', 'link', 'set', foreign, 'mtu', '1400']);
      await host.output(['ip', 'link', 'set', foreign, 'up']);
      const settled =
        'grep -q up /sys/class/net/$1/operstate && { [ ! -e /proc/sys/net/ipv6/conf/$1 ] || ip -6 address show dev $1 | grep -q fe80; }';
      await host.output(['sh', '-c', `until ${settled}; do sleep 0.05; done`, 'sh', foreign]);
      await host.output([
        'nft',
        'add table inet theirs; add chain inet theirs c { type filter hook input priority 0; }; add rule inet theirs c tcp dport 1 accept',
      ]);
    },
  });

  it('works from what was applied: with the spec edited, renamed or gone, by name or by file, and twice', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'gone', { network: NETWORK });
    await succeed(host, 'apply', spec.file);
    fs.rmSync(spec.file);
    await succeed(host, 'down', spec.name);
    const edited = writeSpec(host, 'edited', { network: NETWORK });
    await succeed(host, 'apply', edited.file);
    writeSpec(host, 'edited', { network: { bridge: 'other0', ports: ['9999:80'] }, resources: { pids: 3 } });
    await succeed(host, 'down', edited.file);
    expect(await list(host)).toEqual([]);
    expect(await host.output(['ip', 'link'])).not.toContain('conv0');
    expect((await host.runspec('down', edited.name)).status).toBe(0);
    expect((await host.runspec('down', edited.file)).status).toBe(0);
  });

  it('is told of when its file has taken over the container of another', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'taken', {});
    await succeed(host, 'apply', file);
    const other = host.write('specs/other.json', fs.readFileSync(file, 'utf8'));
    expect((await host.runspec('plan', other)).stderr).toBe('');
    fs.writeFileSync(other, fs.readFileSync(file, 'utf8').replace('{', '{ "hostname": "other",'));
    for (const command of ['plan', 'apply'])
      expect((await host.runspec(command, other)).stderr).toContain(
        `${name} was applied from ${file} until now\n`,
      );
    await succeed(host, 'down', other);
    expect((await list(host)).map((row) => row.name)).not.toContain(name);
  });

  it.each([
    ['has another name now', (text: string) => text.replace(/-edited"/, '-other"')],
    ['is no spec any more', () => 'runspec: 1\nname: [\n'],
    ['is empty', () => ''],
    ['is gone', undefined],
  ])('by a file takes what was applied from it when that %s', async (_, edit) => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'edited', {});
    await succeed(host, 'apply', file);
    const text = fs.readFileSync(file, 'utf8');
    if (edit === undefined) fs.rmSync(file);
    else fs.writeFileSync(file, edit(text));
    await succeed(host, 'down', file);
    expect((await list(host)).map((row) => row.name)).not.toContain(name);
  });

  it('keeps a shared bridge for its last user', async () => {
    const host = getHost();
    const one = writeSpec(host, 'one', { network: { bridge: 'shared0' } });
    const two = writeSpec(host, 'two', { network: { bridge: 'shared0' } });
    const bridges = async (): Promise<boolean> => (await host.output(['ip', 'link'])).includes('shared0:');
    await succeed(host, 'apply', one.file, two.file);
    await succeed(host, 'down', one.name);
    expect(await bridges()).toBe(true);
    expect(await drift(host, two.name)).toEqual([]);
    await succeed(host, 'down', two.name);
    expect(await bridges()).toBe(false);
    expect(await host.output(['cat', '/proc/sys/net/ipv4/ip_forward'])).toBe('0\n');
  });

  it('goes on forwarding for those who have come to need it, and knows nothing of it afterwards', async () => {
    const host = getHost();
    const forwards = (): Promise<string> => host.output(['cat', '/proc/sys/net/ipv4/ip_forward']);
    const spec = writeSpec(host, 'forwards', { network: { bridge: 'shared0' } });
    await succeed(host, 'apply', spec.file);
    // As dockerd makes it, which sets ip_forward only when it is not set.
    for (const line of ['add table ip filter', 'add chain ip filter DOCKER-USER'])
      await host.output(['nft', ...line.split(' ')]);
    const { stderr } = await host.runspec('down', spec.name);
    expect(stderr).toContain('kept: chain DOCKER-USER came since and may need it');
    expect(await forwards()).toBe('1\n');
    expect(fs.existsSync(`${host.dataDir}/shared.json`)).toBe(false);
    await host.output(['nft', 'delete', 'table', 'ip', 'filter']);
    await succeed(host, 'apply', spec.file);
    await succeed(host, 'down', spec.name);
    expect(await forwards()).toBe('1\n');
    await host.output(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=0']);
  });

  it('leaves a foreign bridge with its settings and another’s firewall', async () => {
    const host = getHost();
    const settings = async (): Promise<string> => {
      const [link] = JSON.parse(
        await host.output(['ip', '-json', 'address', 'show', foreign]),
      ) as readonly Record<string, unknown>[];
      const localnet = await host.output(['cat', `/proc/sys/net/ipv4/conf/${foreign}/route_localnet`]);
      return JSON.stringify([
        link?.['address'],
        link?.['mtu'],
        link?.['flags'],
        link?.['addr_info'],
        localnet,
      ]);
    };
    const before = await settings();
    const spec = writeSpec(host, 'joins', { network: { bridge: foreign, subnet: '10.71.0.0/24' } });
    await succeed(host, 'apply', spec.file);
    expect((await find(host, spec.name)).address).toBe('10.71.0.2');
    expect(await host.output(['ip', 'link', 'show', 'master', foreign])).toContain(`runspec:${spec.name}`);
    const [address, mtu] = JSON.parse(await settings()) as readonly unknown[];
    expect([address, mtu]).toEqual(['fa:00:00:00:00:01', 1400]);
    await succeed(host, 'down', spec.name);
    expect(await settings()).toBe(before);
    expect(await host.output(['nft', 'list', 'ruleset'])).toContain('table inet theirs');
  });

  it('drops an ephemeral layer and keeps a persistent one and volumes until --volumes', async () => {
    const host = getHost();
    const volumes = { mounts: [{ type: 'volume', source: 'kept', destination: '/var/kept' }] };
    const ephemeral = writeSpec(host, 'ephemeral', volumes);
    const persistent = writeSpec(host, 'persistent', { writable: 'persistent' });
    const read = async (name: string, file: string) => (await inside(host, name)(['cat', file])).stdout;
    const write = (name: string, file: string) => inside(host, name)(['bash', '-c', `echo text >${file}`]);
    const upDown = async (...options: readonly string[]): Promise<void> => {
      await succeed(host, 'down', ...options, ephemeral.name, persistent.name);
      await succeed(host, 'apply', ephemeral.file, persistent.file);
    };
    await succeed(host, 'apply', ephemeral.file, persistent.file);
    await write(ephemeral.name, '/file');
    await write(ephemeral.name, '/var/kept/file');
    await write(persistent.name, '/file');
    await upDown();
    expect(await read(ephemeral.name, '/file')).toBe('');
    expect(await read(ephemeral.name, '/var/kept/file')).toBe('text\n');
    expect(await read(persistent.name, '/file')).toBe('text\n');
    await upDown('--volumes');
    expect(await read(ephemeral.name, '/var/kept/file')).toBe('');
    expect(await read(persistent.name, '/file')).toBe('');
    await succeed(host, 'down', '--volumes', ephemeral.name, persistent.name);
  });

  it('takes every container of a call, and says which were not there', async () => {
    const host = getHost();
    const names = ['a', 'b', 'c'].map((base) =>
      writeSpec(host, `many/${base}`.replace('/', '-'), { network: { bridge: 'many0' } }),
    );
    await succeed(host, 'apply', ...names.map((spec) => spec.file));
    expect(await list(host)).toHaveLength(3);
    const { status, stderr } = await host.runspec('down', '--all');
    expect({ status, left: await list(host) }).toEqual({ status: 0, left: [] });
    for (const { name } of names) expect(stderr).toContain(`${name} is down`);
    expect((await host.runspec('down', 'never-there')).status).toBe(0);
  });
});
