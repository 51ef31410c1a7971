import { describe, expect, it } from 'vitest';
import { readEarlierNat, type Published } from '../../src/host/nat-rules.ts';
import { createFixtureHost } from './fixture-host.ts';

const PORT: Published = { family: 'ipv4', protocol: 'tcp', port: 8080 };
const PORT6: Published = { ...PORT, family: 'ipv6' };

const dport = { match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: 8080 } };

/** One rule in a nat chain of a table of this family. */
function nftHost(family: string, ...expr: readonly object[]) {
  const chain = { family, table: 't', name: 'c', type: 'nat', hook: 'prerouting', prio: -150 };
  const rule = { family, table: 't', chain: 'c', handle: 4, expr: [...expr, { dnat: { port: 1 } }] };
  return createFixtureHost({
    commands: {
      'nft -j -t list ruleset': { stdout: JSON.stringify({ nftables: [{ chain }, { rule }] }) },
      'nft -s -a -t list ruleset': {
        stdout: `table ${family} t {\n\tchain c {\n\t\tdnat to :1 # handle 4\n\t}\n}\n`,
      },
    },
  });
}

async function caught(host: ReturnType<typeof createFixtureHost>): Promise<readonly string[]> {
  const rules = await readEarlierNat(host);
  return [PORT, PORT6].flatMap((one) => (rules.some((rule) => rule.catches(one)) ? [one.family] : []));
}

describe('a rule of others that comes first', () => {
  const nfproto = (op: string, right: string): object => ({
    match: { op, left: { meta: { key: 'nfproto' } }, right },
  });
  const daddr = (protocol: string): object => ({
    match: { op: '==', left: { payload: { protocol, field: 'daddr' } }, right: 'any' },
  });

  const mapped = (port: unknown): object => {
    const key = { payload: { protocol: 'tcp', field: 'dport' } };
    return { dnat: { addr: { map: { key, data: { set: [[port, '10.0.0.2']] } } } } };
  };

  it.each([
    ['one port', 8080, ['ipv4']],
    ['a range', { range: [8000, 8100] }, ['ipv4']],
    ['another port', 9090, []],
  ])('catches what its map has: %s', async (_, port, families) => {
    expect(await caught(nftHost('ip', mapped(port)))).toEqual(families);
  });

  it('is told as nft lists it', async () => {
    const host = nftHost('ip', dport);
    expect((await readEarlierNat(host)).map(({ text }) => text)).toEqual(['nft chain ip t c: dnat to :1']);
  });

  it.each([
    ['of a table of IPv4', 'ip', [dport], ['ipv4']],
    ['of a table of IPv6', 'ip6', [dport], ['ipv6']],
    ['of a table of both', 'inet', [dport], ['ipv4', 'ipv6']],
    ['that asks for an IPv4 address', 'inet', [daddr('ip'), dport], ['ipv4']],
    ['that asks for an IPv6 address', 'inet', [daddr('ip6'), dport], ['ipv6']],
    ['that asks for IPv6', 'inet', [nfproto('==', 'ipv6'), dport], ['ipv6']],
    ['that asks for anything but IPv6', 'inet', [nfproto('!=', 'ipv6'), dport], ['ipv4']],
  ])('catches a port of its own family: %s', async (_, family, expr, families) => {
    expect(await caught(nftHost(family, ...expr))).toEqual(families);
  });

  it('catches a port of the family it translates to', async () => {
    expect(await caught(nftHost('inet', dport, { dnat: { family: 'ip6', addr: 'fd00::1' } }))).toEqual([
      'ipv6',
    ]);
  });

  it.each([
    ['iptables-legacy', '/proc/net/ip_tables_names', 'ipv4'],
    ['ip6tables-legacy', '/proc/net/ip6_tables_names', 'ipv6'],
  ])('is read from %s for its family', async (tool, names, family) => {
    const rule = '-A PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 1';
    const host = createFixtureHost({
      files: { [names]: 'nat\nfilter\n' },
      commands: {
        // Once, and no second time for the text of no rule.
        'nft -j -t list ruleset': { stdout: '{"nftables": []}' },
        [`${tool}-save -t nat`]: { stdout: `*nat\n${rule}\nCOMMIT\n` },
      },
    });
    host.which = (program) => Promise.resolve(`/usr/sbin/${program}`);
    expect(await caught(host)).toEqual([family]);
    expect((await readEarlierNat(host)).map(({ text }) => text)).toEqual([`${tool} nat: ${rule}`]);
  });
});
