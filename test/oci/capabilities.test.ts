import { describe, expect, it } from 'vitest';
import {
  ALL_CAPABILITIES,
  capabilitiesOfMask,
  chooseCapabilities,
  settleCapabilities,
} from '../../src/oci/capabilities.ts';

const DEFAULTS = capabilitiesOfMask('a80425fb').toSorted();

describe('capabilities', () => {
  it.each([
    ['nothing', [], [], DEFAULTS],
    ['add NET_ADMIN', ['NET_ADMIN'], [], [...DEFAULTS, 'CAP_NET_ADMIN'].toSorted()],
    ['drop KILL', [], ['KILL'], DEFAULTS.filter((name) => name !== 'CAP_KILL')],
    ['drop ALL', [], ['ALL'], []],
    ['drop ALL, add CHOWN', ['CHOWN'], ['ALL'], ['CAP_CHOWN']],
    [
      'add ALL, drop SYS_ADMIN',
      ['ALL'],
      ['SYS_ADMIN'],
      ALL_CAPABILITIES.filter((name) => name !== 'CAP_SYS_ADMIN').toSorted(),
    ],
    ['add and drop KILL, as Docker', ['KILL'], ['KILL'], DEFAULTS],
  ])('%s', (_, add, drop, bounding) => {
    expect(chooseCapabilities({ add, drop }).bounding).toEqual(bounding);
  });

  it('are all effective and none ambient for root', () => {
    const { sets } = settleCapabilities(
      chooseCapabilities({ add: ['NET_ADMIN'], drop: [] }),
      0,
      ALL_CAPABILITIES,
    );
    expect(sets.effective).toEqual(sets.bounding);
    expect(sets.permitted).toEqual(sets.bounding);
    expect([...sets.inheritable, ...sets.ambient]).toEqual([]);
  });

  it('are only the added ones for another user, ambient so that execve keeps them', () => {
    const { sets } = settleCapabilities(
      chooseCapabilities({ add: ['NET_ADMIN'], drop: [] }),
      1000,
      ALL_CAPABILITIES,
    );
    for (const set of [sets.effective, sets.permitted, sets.inheritable, sets.ambient])
      expect(set).toEqual(['CAP_NET_ADMIN']);
    expect(sets.bounding).toContain('CAP_CHOWN');
  });

  it('that runspec lacks are missing when asked for by name, and left out of ALL', () => {
    const available = ALL_CAPABILITIES.filter((name) => name !== 'CAP_SYS_RESOURCE');
    expect(
      settleCapabilities(chooseCapabilities({ add: ['SYS_RESOURCE'], drop: [] }), 0, available).missing,
    ).toEqual(['CAP_SYS_RESOURCE']);
    const all = settleCapabilities(chooseCapabilities({ add: ['ALL'], drop: [] }), 0, available);
    expect(all.missing).toEqual([]);
    expect(all.sets.bounding).toEqual(available.toSorted());
  });
});
