// Whoever has just talked with a container goes on doing so when its address or its MAC address is changed in place:
// what the kernel keeps of neighbours it would believe for half a minute and more.
import { describe, expect, it } from 'vitest';
import { identify, inside, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec } from '../support/specs.ts';
import { ask, type Run } from '../support/talk.ts';

/** A server that was just started listens within this. */
const SOON = { timeout: 30_000 };
const SUBNETS = { subnet: '10.79.0.0/24', subnet6: 'fd00:79::/64' };

describe.skipIf(!requireSystem())('neighbours of a container', () => {
  const getHost = shareHost();
  const write = (base: string, network: Readonly<Record<string, unknown>>) =>
    writeSpec(getHost(), base, {
      process: { args: serve(base, 'tcp:80', 'tcp6:80'), stopTimeout: '0s' },
      network: { ...SUBNETS, ...network },
    });

  it.each<readonly [string, Readonly<Record<string, string>>, Readonly<Record<string, string>>]>([
    ['MAC address', { address: '10.79.0.2' }, { address: '10.79.0.2', mac: '02:42:00:00:00:77' }],
    ['IPv4 address, and with it its MAC address', { address: '10.79.0.2' }, { address: '10.79.0.50' }],
    [
      'addresses to those of another MAC address',
      { address: '10.79.0.2', mac: '02:00:00:00:00:77' },
      { address: '10.79.0.9', address6: 'fd00:79::9', mac: '02:00:00:00:00:77' },
    ],
  ])('reach it when it has changed its %s', async (_, former, later) => {
    const host = getHost();
    const onHost: Run = (argv) => host.exec(argv);
    const ports = ['8080:80'];
    const changed = write('changed', { ...former, address6: 'fd00:79::2', ports });
    const sibling = write('sibling', { address: '10.79.0.3', address6: 'fd00:79::3' });
    const gone = write('gone', { address: '10.79.0.9', address6: 'fd00:79::9' });
    await succeed(host, 'apply', changed.file, sibling.file, gone.file);
    const process = await identify(host, changed.name);
    const talk = async (base: string, address: string, address6: string): Promise<void> => {
      const questions: readonly (readonly [Run, string, number])[] = [
        [onHost, '127.0.0.1', 8080],
        [onHost, '::1', 8080],
        [onHost, address, 80],
        [onHost, address6, 80],
        [inside(host, sibling.name), address, 80],
        [inside(host, sibling.name), address6, 80],
      ];
      for (const [run, to, port] of questions)
        expect(await ask(run, { address: to, port }), `${to} ${port}`).toContain(
          port === 80 ? base : 'changed',
        );
    };
    await expect.poll(() => ask(onHost, { address: '127.0.0.1', port: 8080 }), SOON).toContain('changed');
    await expect.poll(() => ask(onHost, { address: '10.79.0.9', port: 80 }), SOON).toContain('gone');
    await talk('changed', '10.79.0.2', 'fd00:79::2');
    await talk('gone', '10.79.0.9', 'fd00:79::9');
    await succeed(host, 'down', gone.name);
    write('changed', { address6: 'fd00:79::2', ...later, ports });
    await succeed(host, 'apply', changed.file);
    await talk('changed', later['address'] ?? '', later['address6'] ?? 'fd00:79::2');
    expect(await identify(host, changed.name)).toBe(process);
    expect(await pending(host, changed.file)).toEqual([]);
    const notify = ['nsenter', `--net=/run/netns/runspec-${changed.name}`, '--', 'cat'];
    const files = ['ipv4/conf/eth0/arp_notify', 'ipv6/conf/eth0/ndisc_notify'];
    expect(await host.output([...notify, ...files.map((file) => `/proc/sys/net/${file}`)])).toBe('0\n0\n');
    await succeed(host, 'down', '--all');
  });

  it('reach a new one that has the addresses of one that is gone, and another MAC address', async () => {
    const host = getHost();
    const network = { address: '10.79.0.9', address6: 'fd00:79::9' };
    const sibling = write('sibling', { address: '10.79.0.3', address6: 'fd00:79::3' });
    const gone = write('gone', { ...network, mac: '02:00:00:00:00:88' });
    await succeed(host, 'apply', sibling.file, gone.file);
    const known = Object.values(network).flatMap((address) =>
      [[], ['-n', `runspec-${sibling.name}`]].map((place) => ({ address, place })),
    );
    const macOf = ({ address, place }: (typeof known)[number]): Promise<string> =>
      host.output(['ip', ...place, 'neigh', 'show', 'to', address]);
    const runs: readonly Run[] = [(argv) => host.exec(argv), inside(host, sibling.name)];
    for (const run of runs)
      for (const address of Object.values(network))
        await expect.poll(() => ask(run, { address, port: 80 }), SOON).toContain('gone');
    for (const one of known) expect(await macOf(one)).toContain('02:00:00:00:00:88');
    await succeed(host, 'down', gone.name);
    await succeed(host, 'apply', write('next', network).file);
    // Nobody has asked for it since: they know by what they were told alone.
    for (const one of known) await expect.poll(() => macOf(one), SOON).toContain('02:42:0a:4f:00:09');
    await succeed(host, 'down', '--all');
  });

  it('have no MAC address in common, and may exchange theirs in one call', async () => {
    const host = getHost();
    const [a, b] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'];
    const one = write('one', { address: '10.79.0.2', mac: a });
    const other = write('other', { address: '10.79.0.3', mac: a });
    await succeed(host, 'apply', one.file);
    const refused = await host.runspec('apply', other.file);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(
      new RegExp(`${other.file}:\\d+:\\d+: MAC address ${a} is that of ${one.name}`),
    );
    write('other', { address: '10.79.0.3', mac: b });
    await succeed(host, 'apply', one.file, other.file);
    write('one', { address: '10.79.0.2', mac: b });
    write('other', { address: '10.79.0.3', mac: a });
    await succeed(host, 'apply', one.file, other.file);
    for (const run of [(argv) => host.exec(argv), inside(host, one.name)] satisfies readonly Run[])
      await expect.poll(() => ask(run, { address: '10.79.0.3', port: 80 }), SOON).toContain('other');
    await expect
      .poll(() => ask(inside(host, other.name), { address: '10.79.0.2', port: 80 }), SOON)
      .toContain('one');
    await succeed(host, 'down', '--all');
  });
});
