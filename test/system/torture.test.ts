// A short slice of each campaign of `npm run torture`, under one seed.
import { describe, expect, it } from 'vitest';
import { requireSystem } from '../support/requirements.ts';
import { sliceCampaign } from '../torture/slice.ts';

describe.skipIf(!requireSystem())('a short slice of torture', () => {
  it('kills apply, an update and down, alone, with all they have started, and what they have started', async () => {
    await expectNoHarm('kill-apply', 2);
    await expectNoHarm('kill-update-tree', 2);
    await expectNoHarm('kill-down-child', 2);
  });

  it('has two and eight containers on one bridge come and go', async () => {
    await expectNoHarm('shared-2', 2);
    await expectNoHarm('shared-8', 1);
  });

  it('applies eight specs at once without fixed addresses, and takes them down at once', async () => {
    await expectNoHarm('parallel-apply', 8);
  });

  it('has six apply and take down one spec at once', async () => {
    await expectNoHarm('races', 6);
  });

  it('applies and takes down twenty times in a subnet that is nearly full', async () => {
    await expectNoHarm('cycles', 20);
  });

  it('sends signals, fills the disk and damages records', async () => {
    await expectNoHarm('signals', 4);
    await expectNoHarm('full-disk', 3);
    await expectNoHarm('records', 4);
  });
});

async function expectNoHarm(name: string, rounds: number): Promise<void> {
  const { failures, residue, faults } = await sliceCampaign(name, rounds);
  expect([...failures, ...residue]).toEqual([]);
  expect(faults).toBeGreaterThanOrEqual(rounds);
}
