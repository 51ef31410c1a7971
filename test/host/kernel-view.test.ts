import { describe, expect, it } from 'vitest';
import { createKernelView, readMounts } from '../../src/host/kernel-view.ts';
import { readOutline } from '../../src/host/nft-table.ts';
import { createFixtureHost, fixture } from './fixture-host.ts';

const LIST = 'nft -j list table inet runspec';
const CHAINS = 'nft -j list chains; list tables';
/** A container's veth: our table is there too. */
const UP = { '/proc/net/dev': '  lo: 0 0\nrs0123abcd: 0 0\n' };
const BATCH = 'nsenter --net=/run/netns/runspec-web ip -d -j -batch -';

describe('the kernel view', () => {
  it('knows links with their bridge, state and addresses', async () => {
    const host = createFixtureHost({
      commands: { 'ip -j -d addr show': { stdout: fixture('ip-addr.json') } },
    });
    const view = createKernelView(host);
    expect(await view.link('br0')).toMatchObject({
      alias: 'runspec',
      kind: 'bridge',
      mac: '02:42:0a:d1:00:01',
      up: true,
      master: undefined,
      addresses: [
        { family: 'inet', address: '10.209.0.1', prefix: 24 },
        { family: 'inet6', address: 'fd00::1', prefix: 64 },
      ],
    });
    expect(await view.link('rs12345678')).toMatchObject({
      alias: 'runspec:web',
      kind: 'veth',
      master: 'br0',
    });
    expect(await view.link('eth0')).toMatchObject({ up: false, alias: undefined });
    expect(await view.link('none')).toBeUndefined();
  });

  it('knows links and routes of a namespace', async () => {
    const host = createFixtureHost({
      files: { '/run/netns/runspec-web': '' },
      commands: { [BATCH]: { stdout: fixture('ip-batch.txt') } },
    });
    const found = await createKernelView(host).netns('runspec-web');
    expect(found?.links.map((link) => link.name)).toEqual([
      'lo',
      'br0',
      'eth0',
      'rs12345678',
      'dum1',
      'dum0',
    ]);
    expect(found?.routes).toContainEqual({ destination: 'default', gateway: '192.168.1.1', link: 'dum0' });
    expect(found?.routes).toContainEqual({ destination: '172.30.0.0/16', gateway: undefined, link: '' });
  });

  it('knows base chains and the names of tables by one command, however its answers stand', async () => {
    const chains = {
      nftables: [
        {
          chain: {
            family: 'ip',
            table: 'filter',
            name: 'FORWARD',
            type: 'filter',
            hook: 'forward',
            prio: 0,
            policy: 'drop',
          },
        },
        { chain: { family: 'ip', table: 'filter', name: 'DOCKER', handle: 2 } },
      ],
    };
    const tables = {
      nftables: [
        { table: { family: 'inet', name: 'firewalld', handle: 2 } },
        { table: { family: 'netdev', name: 'runspec-web', handle: 3 } },
      ],
    };
    for (const between of ['\n', '']) {
      const stdout = `${JSON.stringify(chains)}${between}${JSON.stringify(tables)}\n`;
      const host = createFixtureHost({ commands: { [CHAINS]: { stdout } } });
      expect(await createKernelView(host).netdevTables()).toEqual(['runspec-web']);
      expect((await readOutline(host)).baseChains.map(({ name, policy }) => `${name} ${policy}`)).toEqual([
        'FORWARD drop',
      ]);
    }
  });

  it('takes a file that a kill left for no namespace', async () => {
    const host = createFixtureHost({
      files: { '/run/netns/runspec-web': '' },
      commands: {
        [BATCH]: { status: 255, stderr: 'setting the network namespace "x" failed: Invalid argument' },
      },
    });
    expect(await createKernelView(host).netns('runspec-web')).toBeUndefined();
    expect(await createKernelView(createFixtureHost({})).netns('runspec-web')).toBeUndefined();
  });

  it('knows the chains, sets and elements of a table as nft 1.0.6 prints them', async () => {
    const host = createFixtureHost({
      files: UP,
      commands: { [LIST]: { stdout: fixture('nft-table.json') } },
    });
    const found = await createKernelView(host).nftTable('runspec');
    expect([...(found?.chains ?? [])]).toEqual([
      ['forward', ['0123456789ab', '']],
      ['empty', []],
    ]);
    expect(
      found?.sets
        .get('networks')
        ?.map((element) => element.key)
        .toSorted(),
    ).toEqual(['0br', '123', 'br0', 'bridge']);
    expect(found?.sets.get('within')).toContainEqual({
      key: 'bridge . bridge',
      value: undefined,
      comment: 'runspec',
    });
    expect(found?.sets.get('sources')).toEqual([
      { key: '10.209.0.2', value: undefined, comment: 'runspec:web' },
      { key: '10.209.0.9', value: undefined, comment: undefined },
    ]);
    expect(found?.sets.get('ports')).toContainEqual({
      key: 'tcp . 8080',
      value: '10.209.0.2 . 80',
      comment: 'runspec:web',
    });
    expect(found?.sets.get('ports_on')).toEqual([
      { key: '127.0.0.1 . udp . 5353', value: '10.209.0.2 . 53', comment: 'runspec:web' },
    ]);
  });

  it('tells a table that is not there from one that cannot be read', async () => {
    const read = (stderr: string): Promise<unknown> => {
      const host = createFixtureHost({ files: UP, commands: { [LIST]: { status: 1, stderr } } });
      return createKernelView(host).nftTable('runspec');
    };
    expect(await read('Error: No such file or directory\nlist table inet runspec\n')).toBeUndefined();
    await expect(read('Error: Operation not permitted (you must be root)')).rejects.toMatchObject({
      message: 'cannot read the nft table inet runspec',
      hint: expect.stringContaining('root') as string,
    });
  });

  it('looks for our table among all where no container of ours is linked', async () => {
    const table = { family: 'inet', name: 'runspec' };
    const find = async (stdout: string): Promise<boolean> => {
      const commands = { [CHAINS]: { stdout }, [LIST]: { stdout: fixture('nft-table.json') } };
      return (await createKernelView(createFixtureHost({ commands })).nftTable('runspec')) !== undefined;
    };
    expect(await find(JSON.stringify({ nftables: [{ table }] }))).toBe(true);
    expect(await find(JSON.stringify({ nftables: [{ table: { ...table, family: 'ip' } }] }))).toBe(false);
    const commands = { [CHAINS]: { status: 1, stderr: 'Error: Operation not permitted (you must be root)' } };
    await expect(createKernelView(createFixtureHost({ commands })).nftTable('runspec')).rejects.toMatchObject(
      {
        message: 'cannot read the tables of nft',
      },
    );
  });

  it('says so when a program prints what is not JSON', async () => {
    const host = createFixtureHost({ commands: { 'ip -j -d addr show': { stdout: '1: lo: <LOOPBACK>' } } });
    await expect(createKernelView(host).links()).rejects.toMatchObject({
      message: 'ip printed what is not JSON',
      hint: expect.stringContaining('PATH') as string,
    });
  });

  it('asks once, and again when it has forgotten', async () => {
    let asked = 0;
    const host = createFixtureHost({ commands: { 'ip -j -d addr show': { stdout: '[]' } } });
    const { run } = host;
    host.run = (argv, options) => {
      asked += 1;
      return run(argv, options);
    };
    const view = createKernelView(host);
    await Promise.all([view.links(), view.link('lo'), view.links()]);
    expect(asked).toBe(1);
    view.forget();
    await view.links();
    expect(asked).toBe(2);
  });
});

describe('the mount table', () => {
  it('is read with its escapes, its roots and its propagation', async () => {
    const host = createFixtureHost({ files: { '/proc/self/mountinfo': fixture('mountinfo-v2.txt') } });
    const mounts = await readMounts(host);
    const at = (target: string): object | undefined => mounts.find((mount) => mount.target === target);
    expect(at('/run')).toMatchObject({ id: 26, parent: 28, type: 'tmpfs', isPrivate: false });
    expect(at('/run/runspec')).toMatchObject({ root: '/runspec', device: '0:24', isPrivate: true });
    expect(at('/run/runspec/web/rootfs')).toMatchObject({
      type: 'overlay',
      superOptions: 'rw,lowerdir=/srv/it\\:s a\tb:/l/1,upperdir=/u,workdir=/w',
    });
    expect(at('/mnt/follow')).toMatchObject({ isPrivate: false });
  });

  it('has names in other letters as they are', async () => {
    const host = createFixtureHost({
      files: { '/proc/self/mountinfo': '1 0 0:1 / /srv/\u{fc}ber\\040\u{e4} rw - tmpfs none rw\n' },
    });
    expect((await readMounts(host))[0]?.target).toBe('/srv/\u{fc}ber \u{e4}');
  });
});

it('knows by their chains and tables who leads packets between networks', async () => {
  const chain = (family: string, name: string) => ({ chain: { family, table: 'filter', name } });
  const nftables = [
    ...['FORWARD', 'DOCKER-USER', 'NETAVARK_FORWARD', 'LIBVIRT_FWO', 'ufw-user-forward'].map((name) =>
      chain('ip', name),
    ),
    ...['DOCKER-USER', 'KUBE-FORWARD'].map((name) => chain('ip6', name)),
    ...['runspec', 'incus', 'firewalld'].map((name) => ({ table: { family: 'inet', name } })),
  ];
  const commands = { [CHAINS]: { stdout: JSON.stringify({ nftables }) } };
  const view = createKernelView(createFixtureHost({ commands }));
  expect(await view.engines()).toEqual([
    'chain DOCKER-USER',
    'chain NETAVARK_FORWARD',
    'chain LIBVIRT_FWO',
    'table incus',
  ]);
});
