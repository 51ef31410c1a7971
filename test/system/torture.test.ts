// A short slice of each campaign of `npm run torture`, under one seed.
import { describe, expect, it } from 'vitest';
import { programs, requireSystem } from '../support/requirements.ts';
import { sliceCampaign } from '../torture/slice.ts';

describe.skipIf(!requireSystem())('a short slice of torture', () => {
  it('kills apply, an update and down, alone, with all they have started, and what they have started', async () => {
    await expectNoHarm('kill-apply', 2);
    await expectNoHarm('kill-update-tree', 2);
    await expectNoHarm('kill-down-child', 2);
  });

  it('has two and eight containers on one bridge come and go', async () => {
    await expectNoHarm('shared-2', 1);
    await expectNoHarm('shared-8', 1);
  });

  it('applies eight specs at once without fixed addresses, and takes them down at once', async () => {
    await expectNoHarm('parallel-apply', 8);
  });

  it('has six apply and take down one spec at once', async () => {
    await expectNoHarm('races', 6);
  });

  it('applies and takes down ten times in a subnet that is nearly full', async () => {
    await expectNoHarm('cycles', 10);
  });

  it('sends signals, fills the disk and damages records', async () => {
    await expectNoHarm('signals', 4);
    await expectNoHarm('full-disk', 2);
    await expectNoHarm('records', 2);
  });

  it.skipIf(!programs('docker-registry', 'skopeo'))('kills what pulls an image from a registry', async () => {
    await expectNoHarm('pull', 2);
  });

  it.skipIf(!programs('dockerd', 'docker', 'iptables'))(
    'kills what lets packets pass the chain of a running dockerd',
    async () => {
      await expectNoHarm('docker-user', 3);
    },
  );
});

async function expectNoHarm(name: string, rounds: number): Promise<void> {
  const { failures, residue, faults } = await sliceCampaign(name, rounds);
  expect([...failures, ...residue]).toEqual([]);
  expect(faults).toBeGreaterThanOrEqual(rounds);
}
