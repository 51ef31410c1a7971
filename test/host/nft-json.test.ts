// Tables with flags, as nft 1.0.6 prints them.
import { describe, expect, it } from 'vitest';
import { createKernelView } from '../../src/host/kernel-view.ts';
import { readEarlierNat } from '../../src/host/nat-rules.ts';
import { parseNft } from '../../src/host/nft-chains.ts';
import { createFixtureHost } from './fixture-host.ts';

const OWN = { family: 'inet', table: 'runspec' };
const UP = { '/proc/net/dev': '  lo: 0 0\nrs0123abcd: 0 0\n' };
const answer = (...objects: readonly object[]): string => `${JSON.stringify({ nftables: objects })}\n`;
const cutShort = (family: string, name: string): { readonly stdout: string } => ({
  stdout: `{"nftables": [{"metainfo": {}}, {"table": {"family": "${family}", "name": "${name}", "flags": `,
});

describe('a table with flags', () => {
  const chain = { ...OWN, name: 'forward', type: 'filter', hook: 'forward', prio: 0, policy: 'accept' };
  const rule = { ...OWN, chain: 'forward', comment: 'abc' };
  const set = { ...OWN, name: 'members', type: 'ipv4_addr' };

  it('is read in parts where nft stops at them', async () => {
    const foreign = { ...chain, table: 'other' };
    const commands = {
      'nft -j list table inet runspec': cutShort('inet', 'runspec'),
      'nft -j -t list chains; list sets; list maps': {
        stdout: `${answer({ chain }, { chain: foreign })}${answer({ set })}${answer()}`,
      },
      'nft -j list chain inet runspec forward': { stdout: answer({ chain }, { rule }) },
      'nft -j list set inet runspec members': { stdout: answer({ set: { ...set, elem: ['10.0.0.2'] } }) },
    };
    const found = await createKernelView(createFixtureHost({ commands, files: UP })).nftTable('runspec');
    expect(found).toMatchObject({ hasFlags: true, baseChains: [{ name: 'forward', policy: 'accept' }] });
    expect([...(found?.chains ?? [])]).toEqual([['forward', ['abc']]]);
    expect(found?.sets.get('members')).toMatchObject([{ key: '10.0.0.2' }]);
  });

  it('is one where nft prints something else for them', async () => {
    const stdout = answer(
      { table: { family: 'inet', name: 'runspec', flags: 'Lester Gooch #5' } },
      { chain },
    );
    const commands = { 'nft -j list table inet runspec': { stdout } };
    const view = createKernelView(createFixtureHost({ commands, files: UP }));
    expect(await view.nftTable('runspec')).toMatchObject({ hasFlags: true });
  });

  it('is known among all tables by its name', async () => {
    const commands = {
      'nft -j list chains; list tables': { stdout: answer({ chain }) + cutShort('inet', 'incus').stdout },
      'nft -j list chains': { stdout: answer({ chain }) },
      'nft list tables': { stdout: 'table inet incus\ntable netdev runspec-web\n' },
    };
    const view = createKernelView(createFixtureHost({ commands }));
    expect(await view.engines()).toEqual(['table incus']);
    expect(await view.netdevTables()).toEqual(['runspec-web']);
  });
});

describe('a dormant table', () => {
  const chain = { family: 'ip', table: 't', name: 'c', type: 'nat', hook: 'prerouting', prio: -150 };
  const rule = { family: 'ip', table: 't', chain: 'c', handle: 4, expr: [{ dnat: { port: 1 } }] };
  const listing = (flags: string): string =>
    `table ip t {\n${flags}\tchain c {\n\t\tdnat to :1 # handle 4\n\t}\n}\n`;
  const read = (flags: string) => {
    const commands = {
      'nft -j -t list ruleset': cutShort('ip', 't'),
      'nft list tables': { stdout: 'table ip t\ntable ip6 u\n' },
      'nft -j -t list table ip t': cutShort('ip', 't'),
      'nft -j -t list table ip6 u': { stdout: answer() },
      'nft -j -t list chains; list sets; list maps': { stdout: answer({ chain }) + answer() + answer() },
      'nft -j -t list chain ip t c': { stdout: answer({ chain }, { rule }) },
      'nft -s -a -t list ruleset': { stdout: listing(flags) },
    };
    return readEarlierNat(createFixtureHost({ commands }));
  };

  it('catches nothing, unlike one that has another flag', async () => {
    expect(await read('\tflags dormant\n\n')).toEqual([]);
    expect(await read('\tflags dormant,owner\n\n')).toEqual([]);
    expect(await read('\tflags owner\n\n')).toMatchObject([{ text: 'nft chain ip t c: dnat to :1' }]);
  });

  it('drops nothing', () => {
    const drops = { ...chain, type: 'filter', hook: 'forward', policy: 'drop' };
    expect(parseNft([{ chain: drops }], listing('\tflags dormant\n'), () => true)).toEqual([]);
    expect(parseNft([{ chain: drops }], listing(''), () => true)).toHaveLength(1);
  });
});
