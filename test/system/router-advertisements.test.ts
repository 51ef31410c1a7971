// A container makes itself an IPv6 router: the host must not send its packets that way, whatever network it gave.
import { expect, it } from 'vitest';
import { drift, inside, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { writeSpec } from '../support/specs.ts';
import { withHost, type TestHost } from '../support/test-host.ts';

/** An advertisement (RFC 4861, 4.2) for half an hour to all nodes; the kernel fills in the checksum. */
const ADVERTISE = `
  open(my $file, '<', '/sys/class/net/eth0/ifindex') or die $!;
  my $index = <$file>;
  socket(my $raw, 10, 3, 58) or die $!;
  setsockopt($raw, 41, 18, pack('l', 255)) or die $!;
  my $all = "\\xff\\x02" . "\\0" x 13 . "\\x01";
  send($raw, pack('C C n C C n N N', 134, 0, 0, 64, 0, 1800, 0, 0), 0, pack('S n N a16 L', 10, 0, 0, $all, $index)) or die $!;`;

/** Advertisements that the host's kernel has got. */
async function received(host: TestHost): Promise<number> {
  const table = await host.output(['cat', '/proc/net/snmp6']);
  return Number(/^Icmp6InRouterAdvertisements\s+(\d+)$/m.exec(table)?.[1]);
}

/** Sends until one has arrived: at first the container's own address is tentative. */
async function advertise(host: TestHost, name: string): Promise<void> {
  const before = await received(host);
  const send = async (): Promise<number> => {
    await inside(host, name)(['perl', '-e', ADVERTISE]);
    return received(host);
  };
  await expect.poll(send, { timeout: 30_000, interval: 300 }).toBeGreaterThan(before);
}

const routes = (host: TestHost): Promise<string> => host.output(['ip', '-6', 'route', 'show', 'default']);

it.skipIf(!requireSystem()).each([
  ['a bridge', { ipv6: false }, 'runspec0', /^bridge:runspec0 drifted$/],
  ['a point to point link', { mode: 'veth', ipv6: false }, undefined, /^veth:eth0 drifted$/],
])('the host does not listen to a container behind %s', async (_, network, bridge, step) => {
  await withHost(async (host) => {
    const { name, file } = writeSpec(host, 'router', { network });
    await succeed(host, 'apply', file);
    await advertise(host, name);
    expect(await routes(host)).toBe('');
    // It would, if it were not told otherwise: then a route by the container is there.
    const link =
      bridge ?? /rs[0-9a-f]{8}/.exec(await host.output(['ip', '-oneline', 'link', 'show']))?.[0] ?? '';
    await host.output(['sh', '-c', `echo 1 >/proc/sys/net/ipv6/conf/${link}/accept_ra`]);
    await advertise(host, name);
    expect(await routes(host)).toContain(`dev ${link} proto ra`);
    expect(await drift(host, name)).toEqual([expect.stringMatching(step)]);
    await succeed(host, 'apply', file);
    await host.output(['ip', '-6', 'route', 'flush', 'default']);
    await advertise(host, name);
    expect(await routes(host)).toBe('');
    await succeed(host, 'down', name);
    await host.output(['rm', '-r', `${host.folder}/specs`]);
  });
});
