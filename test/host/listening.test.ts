import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createLinuxHost } from '../../src/host/linux.ts';
import { findSocketOwners, hexAddress, readListening } from '../../src/host/listening.ts';
import { createFixtureHost, fixture } from './fixture-host.ts';

const UDP = 825216;

describe('the sockets of a host', () => {
  const host = createFixtureHost({
    files: {
      ...Object.fromEntries(
        ['tcp', 'tcp6', 'udp', 'udp6'].map((name) => [`/proc/net/${name}`, fixture(`proc-net-${name}.txt`)]),
      ),
      '/proc/77/cgroup': '4:memory:/user.slice\n0::/user.slice\n',
      '/proc/79/cgroup': '4:memory:/\n1:name=systemd:/vm/runspec/shop/inner\n0::/\n',
      '/proc/77/comm': 'nginx\n',
      '/proc/77/cmdline': 'nginx: master process /usr/sbin/nginx\0',
      '/proc/79/comm': 'MainThread\n',
      '/proc/79/cmdline': '/usr/bin/node\0server.js\0',
      // Closed while it is looked at.
      '/proc/77/fd/9': '',
    },
    links: {
      '/proc/77/fd/3': 'socket:[825212]',
      '/proc/77/fd/4': '/dev/null',
      '/proc/78/fd/3': 'socket:[1]',
      '/proc/79/fd/3': `socket:[${UDP}]`,
    },
  });

  it('are those that listen and those that are bound, not those that are connected', async () => {
    const found = (await readListening(host)).map(
      ({ protocol, address, port }) => `${protocol} ${address} ${port}`,
    );
    expect(found).toEqual([
      'tcp 127.0.0.1 9090',
      'tcp 0.0.0.0 8080',
      'tcp ::1 6060',
      'tcp :: 7070',
      'udp 127.0.0.1 5353',
    ]);
  });

  it.each([
    ['LE', '0100007F', '0000000000000000FFFF00000100007F', 'B80D0120000000000000000001000000'],
    ['BE', '7F000001', '00000000000000000000FFFF7F000001', '20010DB8000000000000000000000001'],
  ] as const)('have addresses in the byte order of the machine: %s', (order, four, mapped, six) => {
    expect([four, mapped, six].map((hex) => hexAddress(hex, order))).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      '2001:db8::1',
    ]);
  });

  it('are told with their process, and its container, where it can be found', async () => {
    const found = await findSocketOwners(host, await readListening(host));
    expect(found.find(({ port }) => port === 8080)?.owner).toEqual({ pid: 77, command: 'nginx' });
    expect(found.find(({ port }) => port === 5353)?.owner).toEqual({
      pid: 79,
      command: 'node',
      container: 'shop',
    });
    expect(found.find(({ port }) => port === 9090)?.owner).toBeUndefined();
    expect(found).toHaveLength(5);
  });

  it('bound to an IPv4 address in IPv6 notation have the IPv4 address', async () => {
    const line =
      ' 0: 0000000000000000FFFF0000020200C0:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 9 1';
    const mapped = createFixtureHost({ files: { '/proc/net/tcp6': `sl\n${line}\n` } });
    expect(await readListening(mapped)).toEqual([
      { protocol: 'tcp', address: '192.0.2.2', port: 8080, inode: '9' },
    ]);
  });

  // The kernel gives such a table a page at a time, and 27 lines of it are one.
  it.each([0, 1, 26, 27, 28, 90])(
    'of the real kernel are all found when there are %i more',
    async (count) => {
      const host = createLinuxHost();
      const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
      await Promise.all(servers.map((server) => once(server, 'listening')));
      const ports = servers.map((server) => (server.address() as AddressInfo).port);
      const found = new Set((await readListening(host)).map(({ port }) => port));
      expect(ports.filter((port) => !found.has(port))).toEqual([]);
      for (const server of servers) server.close();
      await host.close();
    },
  );
});
