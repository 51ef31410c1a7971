import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { removeAddresses } from '../../src/ops/remove-addresses.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate } from '../support/fake/gate.ts';
import { createFakeMachine } from '../support/fake/machine.ts';

/** Removes an address where ip says `stderr` of that. */
async function remove(stderr: string): Promise<void> {
  const run: Host['run'] = (argv) => Promise.resolve({ argv, status: 2, stdout: '', stderr });
  const host = { ...createFakeHost(createFakeMachine(), createGate()), run };
  await removeAddresses(host, { link: 'runspec0', stale: ['fd00::1/64'], staying: [], isOurs: true });
}

it.each([
  'Error: ipv6: IPv6 is disabled on this device.\n',
  'Error: ipv6: address not found.\n',
  'RTNETLINK answers: Cannot assign requested address\n',
])('an address that goes by itself meanwhile is as good as removed: %s', async (stderr) => {
  await expect(remove(stderr)).resolves.toBeUndefined();
});

it('another failure is told', async () => {
  await expect(remove('RTNETLINK answers: Operation not permitted\n')).rejects.toThrow('not permitted');
});
