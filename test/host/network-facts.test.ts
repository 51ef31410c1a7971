import { describe, expect, it } from 'vitest';
import { createKernelView } from '../../src/host/kernel-view.ts';
import { readNetwork } from '../../src/host/network-facts.ts';
import { createFixtureHost, fixture } from './fixture-host.ts';

describe('the network of a host', () => {
  it('is its links, addresses and routes', async () => {
    const host = createFixtureHost({
      files: { '/proc/net/route': fixture('proc-net-route.txt') },
      commands: { 'ip -j -d addr show': { stdout: fixture('ip-addr.json') } },
    });
    const found = await readNetwork(host, createKernelView(host), { firewall: false });
    expect(found.links).toContainEqual({ name: 'br0', alias: 'runspec', kind: 'bridge', mtu: 1500 });
    expect(found.links).toContainEqual({ name: 'rs12345678', alias: 'runspec:web', kind: 'veth', mtu: 1500 });
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
  });

  it('may have no table of routes', async () => {
    const host = createFixtureHost({ commands: { 'ip -j -d addr show': { stdout: '' } } });
    expect(await readNetwork(host, createKernelView(host), { firewall: false })).toEqual({
      ipv6: 'off',
      links: [],
      addresses: [],
      routes: [],
    });
  });
});
