// What ps shows of a container's addresses and ports, on a fake machine.
import { describe, expect, it } from 'vitest';
import type { CommandContext } from '../../src/commands/context.ts';
import { ps } from '../../src/commands/ps.ts';
import { parsePort } from '../../src/load/ports.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { readBootId } from '../../src/runtime/proc.ts';
import { createRecords } from '../../src/run/records.ts';
import { planOf } from '../crash/plans.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate } from '../support/fake/gate.ts';
import { createFakeMachine } from '../support/fake/machine.ts';

const dataDir = '/var/lib/runspec';
const IPV4 = { link: 'runspec0', subnet: '10.209.0.0/24', address: '10.209.0.2', gateway: '10.209.0.1' };
const BOTH = { ...IPV4, subnet6: 'fd00:209::/64', address6: 'fd00:209::2', gateway6: 'fd00:209::1' };
const PORTS = ['8080:80', '[::]:81:80', '0.0.0.0:82:80', '[::1]:83:80/udp', '127.0.0.1:84:80'];

async function show(lease: Plan['lease'], ports: readonly string[], json: boolean): Promise<string> {
  const host = createFakeHost(createFakeMachine(), createGate());
  const records = createRecords(host, dataDir, await readBootId(host));
  const published = ports.flatMap((text) => {
    const port = parsePort(text);
    return 'value' in port ? [port.value] : [];
  });
  const plan = { ...planOf('web', IPV4.address, 8080), ...(lease && { lease }), ports: published };
  await records.begin(plan, undefined, 'web.yaml');
  await records.finish(plan, {}, 'web.yaml');
  let written = '';
  const context = { host, dataDir, json, stdout: (text: string) => (written += text) };
  await ps(context as unknown as CommandContext);
  return written;
}

describe('ps', () => {
  it.each<readonly [string, Plan['lease'], object]>([
    ['no network', undefined, { address: null, address6: null }],
    ['IPv4', IPV4, { address: '10.209.0.2', address6: null }],
    ['both families', BOTH, { address: '10.209.0.2', address6: 'fd00:209::2' }],
  ])('has the addresses of a container with %s in its JSON', async (_, lease, addresses) => {
    expect(JSON.parse(await show(lease, [], true))).toEqual([expect.objectContaining(addresses)]);
  });

  it.each<readonly [string, Plan['lease'], string]>([
    ['IPv4', IPV4, '0.0.0.0:8080->80/tcp'],
    ['both families', BOTH, '0.0.0.0:8080->80/tcp [::]:8080->80/tcp'],
  ])('shows a port of all addresses of a container with %s as Docker does', async (_, lease, shown) => {
    expect(await show(lease, ['8080:80'], false)).toMatch(
      new RegExp(`${shown.replaceAll(/[[\].]/g, '\\$&')}  `),
    );
  });

  it('has IPv6 addresses of ports in brackets, in the table and in JSON', async () => {
    const shown = [
      '0.0.0.0:8080->80/tcp',
      '[::]:8080->80/tcp',
      '[::]:81->80/tcp',
      '0.0.0.0:82->80/tcp',
      '[::1]:83->80/udp',
      '127.0.0.1:84->80/tcp',
    ];
    expect(JSON.parse(await show(BOTH, PORTS, true))).toEqual([expect.objectContaining({ ports: shown })]);
    const [, row = ''] = (await show(BOTH, PORTS, false)).split('\n');
    expect(row).toContain(` 10.209.0.2 fd00:209::2  ${shown.join(' ')}  web.yaml`);
  });
});
