// The same of rules as nft prints them in JSON.
import { describe, expect, it } from 'vitest';
import { parseNft } from '../../src/host/nft-chains.ts';
import type { ForeignChain } from '../../src/plan/foreign-chains.ts';
import { hints, IN, OUT, told } from './behind-firewall.ts';

describe('a chain of nft', () => {
  const match = (left: object, right: unknown, op = '=='): object => ({ match: { op, left, right } });
  const oifname = { meta: { key: 'oifname' } };
  const dport = { payload: { protocol: 'tcp', field: 'dport' } };

  /** Rules of a forward chain, each a list of statements. */
  function nft(policy: string, ...rules: readonly (readonly object[])[]): readonly ForeignChain[] {
    const chain = {
      family: 'inet',
      table: 'f',
      name: 'fwd',
      type: 'filter',
      hook: 'forward',
      prio: 0,
      policy,
    };
    const objects = rules.map((expr, handle) => ({
      rule: { family: 'inet', table: 'f', chain: 'fwd', handle, expr },
    }));
    const listing = rules.map((_, handle) => `\t\trule ${handle} as written # handle ${handle}\n`).join('');
    const text = `table inet f {\n\tchain fwd {\n${listing}\t}\n}\n`;
    return parseNft([{ chain }, ...objects], text, () => true);
  }

  it.each<readonly [string, readonly ForeignChain[], readonly string[]]>([
    [
      'drops by policy',
      nft('drop', [match(oifname, 'br0'), { accept: null }]),
      [`${OUT} are dropped by nft, table inet f, chain fwd: policy drop`],
    ],
    [
      'drops by a rule',
      nft('accept', [
        match(dport, { set: [79, { range: [80, 90] }] }),
        match(oifname, 'br*'),
        { counter: null },
        { drop: null },
      ]),
      [`${IN} are dropped by nft, table inet f, chain fwd: rule 0 as written`],
    ],
    [
      'has a map of verdicts',
      nft('accept', [
        {
          vmap: {
            key: { ct: { key: 'state' } },
            data: {
              set: [
                ['established', { accept: null }],
                ['new', { drop: null }],
              ],
            },
          },
        },
      ]),
      [
        `${IN} are dropped by nft, table inet f, chain fwd: rule 0 as written`,
        `${OUT} are dropped by nft, table inet f, chain fwd: rule 0 as written`,
      ],
    ],
    [
      'accepts links of a set with a name',
      nft('drop', [match(oifname, '@open'), { accept: null }]),
      [`${IN} may be dropped by nft, table inet f, chain fwd: policy drop`],
    ],
    [
      'drops senders of a set with a name',
      nft('accept', [match({ payload: { protocol: 'ip', field: 'saddr' } }, '@bad'), { drop: null }]),
      [],
    ],
    [
      'drops an address of its own family',
      nft('accept', [
        match({ payload: { protocol: 'ip6', field: 'daddr' } }, { prefix: { addr: 'fd00:209::', len: 32 } }),
        { reject: null },
      ]),
      [`${IN} are dropped by nft, table inet f, chain fwd: rule 0 as written`],
    ],
    [
      'drops what is not of a family',
      nft('accept', [
        match({ meta: { key: 'nfproto' } }, 'ipv4', '!='),
        match(oifname, 'br0'),
        { drop: null },
      ]),
      [`${IN} are dropped by nft, table inet f, chain fwd: rule 0 as written`],
    ],
    [
      'drops what another tool alone can read',
      nft('accept', [{ xt: { type: 'match', name: 'mark' } }, { xt: { type: 'target', name: 'REJECT' } }]),
      [`${IN} may be dropped by nft, table inet f, chain fwd: rule 0 as written`],
    ],
  ])('%s', (_, chains, expected) => {
    expect(told(chains)).toEqual(expected);
  });

  it('is hinted at in its own words', () => {
    expect(hints(nft('drop'))).toEqual(
      ['oifname', 'iifname'].map((way) => `nft insert rule inet f fwd ${way} "br0" accept`),
    );
  });
});
