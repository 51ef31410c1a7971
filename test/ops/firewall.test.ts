// The table of nftables, its chains and elements: drift is named; elements of others are let alone.
import { describe, expect, it } from 'vitest';
import { drift, up } from './fake-context.ts';
import { STEPS } from './steps.ts';

describe('an element of the firewall', () => {
  it('of another owner is neither taken nor removed', async () => {
    const ops = await up('nft-table');
    await ops.apply({ ...STEPS['nft-element'], value: '10.209.0.9 . 80', comment: 'runspec:db' });
    const clean = ops.machine.dump();
    await expect(ops.update(STEPS['nft-element'])).rejects.toMatchObject({
      message: 'tcp . 8080 in the nft set ports belongs to runspec:db',
      hint: expect.stringMatching(/^choose another host port, or take db down with the --data-dir/) as string,
    });
    expect(await ops.revert(STEPS['nft-element'])).toEqual({
      outcome: 'kept',
      reason: 'it belongs to runspec:db',
    });
    expect(ops.machine.dump()).toEqual(clean);
  });

  it.each([
    ['with a value', STEPS['nft-element'], { value: '10.209.0.9 . 80' }],
    ['without one', { ...STEPS['nft-element'], set: 'members', key: '10.209.0.2', value: undefined }, {}],
  ] as const)('%s that another runspec has made meanwhile is refused', async (_, step, other) => {
    const ops = await up('nft-table');
    const { value, ...bare } = step;
    const own = value === undefined ? bare : { ...bare, value };
    await ops.apply({ ...own, ...other, comment: 'runspec:db' });
    const clean = ops.machine.dump();
    await expect(ops.apply(own)).rejects.toMatchObject({
      message: expect.stringMatching(/ belongs to runspec:db$/) as string,
    });
    expect(ops.machine.dump()).toEqual(clean);
  });

  it('that is there already as it is to be stays', async () => {
    const ops = await up('nft-table', 'nft-element');
    const clean = ops.machine.dump();
    await ops.apply(STEPS['nft-element']);
    expect(ops.machine.dump()).toEqual(clean);
  });

  it('that leads elsewhere is drift, mended in place', async () => {
    const ops = await up('nft-table', 'nft-element');
    const moved = { ...STEPS['nft-element'], value: '10.209.0.9 . 80' } as const;
    expect(await ops.probe(moved)).toEqual(
      drift(['tcp . 8080', '10.209.0.9 . 80 runspec:web', '10.209.0.2 . 80 runspec:web']),
    );
    await ops.update(moved);
    expect(await ops.probe(moved)).toMatchObject({ state: 'present' });
  });

  it('may be a link whose name is a keyword', async () => {
    const ops = await up('nft-table');
    const { value: _, ...rest } = STEPS['nft-element'];
    const step = { ...rest, set: 'within', key: 'bridge . bridge', comment: 'runspec' } as const;
    await ops.apply(step);
    expect(await ops.probe(step)).toMatchObject({ state: 'present' });
    // As nft 1.0.6 takes it: a bare `bridge` is a syntax error there.
    expect(ops.machine.firewall.dump()).toContain(
      'nft element runspec within {"key":"\\"bridge\\" . \\"bridge\\"","comment":"runspec"}',
    );
    expect(await ops.revert(step)).toEqual({ outcome: 'removed' });
  });

  it('keeps the table while it is there', async () => {
    const ops = await up('nft-table', 'nft-element');
    expect(await ops.revert(STEPS['nft-table'])).toEqual({
      outcome: 'kept',
      reason: 'it still holds elements of runspec:web',
    });
  });
});

describe('the table', () => {
  it('names what was changed in it, and is mended without losing elements', async () => {
    const ops = await up('nft-table', 'nft-element');
    ops.machine.firewall.load('flush chain inet runspec forward\n');
    expect(await ops.probe(STEPS['nft-table'])).toMatchObject({
      state: 'drifted',
      inPlace: true,
      differences: [{ property: 'chain forward' }],
    });
    await ops.update(STEPS['nft-table']);
    expect(await ops.probe(STEPS['nft-table'])).toMatchObject({ state: 'present' });
    expect(await ops.probe(STEPS['nft-element'])).toMatchObject({ state: 'present' });
  });
});

describe('a chain in the table', () => {
  const PASS = 'type filter hook forward priority 0; policy accept;';
  const header = (chain: string, text: string): string => `chain ${chain} { ${text} }`;

  it.each([
    [
      'that drops what no rule lets pass',
      [header('forward', 'type filter hook forward priority filter; policy drop;')],
      drift(['chain forward', PASS, PASS.replace('accept', 'drop')]),
    ],
    [
      'that is called at another time',
      ['delete', header('forward', 'type filter hook forward priority 7; policy accept;')],
      drift(
        ['chain forward', PASS, PASS.replace('0', '7')],
        ['chain forward', '6 rules of ours', '0 rules, not the same'],
      ),
    ],
    [
      'that is not called at all',
      ['delete', 'chain forward { }'],
      drift(
        ['chain forward', PASS, 'no hook'],
        ['chain forward', '6 rules of ours', '0 rules, not the same'],
      ),
    ],
    [
      'that is not of ours',
      [header('evil', PASS.replace('accept', 'drop')), 'chain more { }'],
      drift(['chain evil', 'none', PASS.replace('accept', 'drop')], ['chain more', 'none', 'no hook']),
    ],
  ])('%s is drift, mended without losing elements', async (_, changes, found) => {
    const ops = await up('nft-table', 'nft-element');
    const clean = ops.machine.firewall.dump().toSorted();
    const lines = changes.filter((line) => line !== 'delete');
    const removal = 'flush chain inet runspec forward\ndelete chain inet runspec forward\n';
    const before = lines.length === changes.length ? '' : removal;
    ops.machine.firewall.load(`${before}table inet runspec {\n${lines.join('\n')}\n}\n`);
    expect(await ops.probe(STEPS['nft-table'])).toEqual(found);
    await ops.update(STEPS['nft-table']);
    expect(ops.machine.firewall.dump().toSorted()).toEqual(clean);
  });
});
