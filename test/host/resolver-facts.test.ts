import { describe, expect, it } from 'vitest';
import { readResolver } from '../../src/host/resolver-facts.ts';
import { createFixtureHost, fixture } from './fixture-host.ts';

const read = (files: Readonly<Record<string, string>>): ReturnType<typeof readResolver> =>
  readResolver(createFixtureHost({ files }));

describe('the name servers of a host', () => {
  it('are its own when a container can reach them', async () => {
    expect(await read({ '/etc/resolv.conf': fixture('resolv-upstream.txt') })).toEqual({
      local: ['192.168.178.1', 'fd00::1'],
      servers: ['192.168.178.1', 'fd00::1'],
      search: ['fritz.box'],
      options: [],
    });
  });

  it.each(['/run/systemd/resolve/resolv.conf', '/run/NetworkManager/no-stub-resolv.conf'])(
    'are those of %s behind a stub',
    async (upstream) => {
      const files = {
        '/etc/resolv.conf': fixture('resolv-stub.txt'),
        [upstream]: fixture('resolv-upstream.txt'),
      };
      expect(await read(files)).toEqual({
        local: ['127.0.0.53'],
        servers: ['192.168.178.1', 'fd00::1'],
        search: ['fritz.box'],
        options: ['edns0', 'trust-ad'],
      });
    },
  );

  it('are none behind a stub that tells nobody', async () => {
    expect(await read({ '/etc/resolv.conf': 'nameserver ::1\n' })).toMatchObject({
      local: ['::1'],
      servers: [],
    });
  });

  it('leave out a stub beside servers that can be reached', async () => {
    const text = 'nameserver 127.0.0.1\nnameserver 192.0.2.53\n';
    expect((await read({ '/etc/resolv.conf': text })).servers).toEqual(['192.0.2.53']);
  });

  it('are none without a file', async () => {
    expect(await read({})).toEqual({ local: [], servers: [], search: [], options: [] });
  });

  it('are one a line, with the last search list and all options', async () => {
    const text = [
      'domain first.example',
      'search a.example  b.example',
      '\tnameserver\t192.0.2.1 # ours',
      'nameserver 192.0.2.2',
      'nameserver',
      'options ndots:2',
      'options rotate',
      'search c.example',
    ].join('\n');
    expect(await read({ '/etc/resolv.conf': text })).toEqual({
      local: ['192.0.2.1', '192.0.2.2'],
      servers: ['192.0.2.1', '192.0.2.2'],
      search: ['c.example'],
      options: ['ndots:2', 'rotate'],
    });
  });
});
