import { describe, expect, it } from 'vitest';
import { createKernelView } from '../../src/host/kernel-view.ts';
import { readNetwork } from '../../src/host/network-facts.ts';
import { createFixtureHost, fixture } from './fixture-host.ts';

const ALONE = { firewall: false, docker: () => Promise.resolve(false) };
const NO_RULES = { 'nft -j list chains; list tables': { stdout: '{"nftables": []}' } };

describe('the network of a host', () => {
  it('is its links, addresses and routes', async () => {
    const host = createFixtureHost({
      files: {
        '/proc/net/route': fixture('proc-net-route.txt'),
        '/proc/net/arp': fixture('proc-net-arp.txt'),
      },
      commands: { 'ip -j -d addr show': { stdout: fixture('ip-addr.json') }, ...NO_RULES },
    });
    const found = await readNetwork(host, createKernelView(host), ALONE);
    expect(found.links).toContainEqual({
      name: 'br0',
      alias: 'runspec',
      kind: 'bridge',
      mtu: 1500,
      mac: '02:42:0a:d1:00:01',
    });
    expect(found.links).toContainEqual({
      name: 'rs12345678',
      alias: 'runspec:web',
      kind: 'veth',
      mtu: 1500,
      mac: '6a:c0:eb:9f:99:d6',
      master: 'br0',
    });
    expect(found.links).toContainEqual({ name: 'lo', mtu: 65536 });
    expect(found.addresses).toContainEqual({ link: 'br0', address: '10.209.0.1', prefix: 24 });
    expect(found.addresses).toContainEqual({ link: 'br0', address: 'fd00::1', prefix: 64 });
    expect(found.routes).toEqual([
      { link: 'dum0', destination: '0.0.0.0/1' },
      { link: 'dum0', destination: '0.0.0.0/0' },
      { link: 'br0', destination: '10.209.0.0/24' },
      { link: '*', destination: '172.30.0.0/16' },
      { link: 'dum0', destination: '192.168.1.0/24' },
    ]);
    expect(found.neighbours).toEqual([
      { link: 'dum0', address: '192.168.1.9' },
      { link: 'dum0', address: '192.168.1.1' },
      { link: 'br0', address: '10.209.0.3' },
    ]);
  });

  it('may have no table of routes', async () => {
    const host = createFixtureHost({
      commands: { 'ip -j -d addr show': { stdout: '' }, ...NO_RULES },
    });
    expect(await readNetwork(host, createKernelView(host), ALONE)).toEqual({
      ipv6: 'off',
      links: [],
      addresses: [],
      routes: [],
    });
  });

  it('tells why the rules of Docker cannot be read', async () => {
    const docker0 = [{ ifname: 'docker0', linkinfo: { info_kind: 'bridge' }, flags: [] }];
    const stderr = "iptables v1.8.9 (nf_tables): table `filter' is incompatible, use 'nft' tool.\n";
    const host = createFixtureHost({
      commands: {
        'ip -j -d addr show': { stdout: JSON.stringify(docker0) },
        'iptables -w -S': { status: 1, stderr },
      },
    });
    host.which = (program) => Promise.resolve(`/usr/sbin/${program}`);
    const found = await readNetwork(host, createKernelView(host), {
      firewall: false,
      docker: () => Promise.resolve(true),
    });
    expect(found.dockerUser).toBeUndefined();
    expect(found.unreadable).toEqual([`iptables -S failed: ${stderr.trim()}`]);
  });
});

describe('the firewall of others', () => {
  const CHAINS = 'nft -j list chains; list tables';
  const chain = { type: 'filter', hook: 'forward', prio: 0, policy: 'drop' };
  const listed = (...chains: readonly object[]): string =>
    JSON.stringify({ nftables: chains.map((one) => ({ chain: { ...chain, ...one } })) });

  /** Facts, and the commands that were run for them. */
  async function read(
    fixtures: Parameters<typeof createFixtureHost>[0],
  ): Promise<{ readonly facts: object; readonly ran: readonly string[] }> {
    const host = createFixtureHost(fixtures);
    const ran: string[] = [];
    const { run } = host;
    host.run = (argv, options) => {
      ran.push(argv.join(' '));
      return run(argv, options);
    };
    host.which = (program) => Promise.resolve(`/usr/sbin/${program}`);
    return { facts: await createKernelView(host).foreignRules(), ran };
  }

  it('costs one process on a host that has none', async () => {
    const commands = { [CHAINS]: { stdout: listed() } };
    expect(await read({ commands })).toEqual({ facts: {}, ran: [CHAINS] });
    const files = { '/proc/net/ip_tables_names': 'nat\n' };
    expect(await read({ commands, files })).toEqual({ facts: {}, ran: [CHAINS] });
  });

  it('is not asked about what is ours, or about chains that drop nothing on the way', async () => {
    const own = { family: 'inet', table: 'runspec', name: 'forward' };
    const commands = {
      [CHAINS]: {
        stdout: listed(
          own,
          { family: 'ip', table: 'nat', name: 'OUTPUT', type: 'nat', hook: 'output' },
          { family: 'bridge', table: 'filter', name: 'FORWARD' },
        ),
      },
      'nft -j list table inet runspec': { stdout: JSON.stringify({ nftables: [{ chain: own }] }) },
    };
    const files = { '/proc/net/dev': '  lo: 0 0\nrs0123abcd: 0 0\n' };
    const { facts, ran } = await read({ commands, files });
    expect(facts).toEqual({});
    expect(ran.toSorted()).toEqual([CHAINS, 'nft -j list table inet runspec']);
  });

  it('is read from iptables where iptables wrote it, and from the older tables', async () => {
    const saved = { stdout: '*filter\n:FORWARD DROP [0:0]\nCOMMIT\n' };
    const { facts } = await read({
      files: { '/proc/net/ip6_tables_names': 'filter\n' },
      commands: {
        [CHAINS]: { stdout: listed({ family: 'ip', table: 'filter', name: 'FORWARD' }) },
        'iptables-nft-save': saved,
        'ip6tables-legacy-save': saved,
      },
    });
    expect(facts).toMatchObject({ foreignChains: [{ tool: 'iptables' }, { tool: 'ip6tables-legacy' }] });
  });

  it('that cannot be read is told, and keeps no plan from being made', async () => {
    const { facts } = await read({
      files: { '/proc/net/ip_tables_names': 'filter\n' },
      commands: {
        [CHAINS]: { stdout: listed() },
        'iptables-legacy-save': { status: 1, stderr: 'no such module\n' },
      },
    });
    expect(facts).toEqual({ unreadable: ['iptables-legacy-save failed: no such module'] });
  });
});
