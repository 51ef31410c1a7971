// IPv6 point to point, and on a bridge of somebody else: reached from another host, reaching beyond the host, and
// nothing of the bridge's own changed.
import { describe, expect, it } from 'vitest';
import { drift, find, identify, inside, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask, startServer, type Run } from '../support/talk.ts';
import type { TestHost } from '../support/test-host.ts';

/** A server that was just started listens within this. */
const SOON = { timeout: 30_000 };

const HOST6 = '2001:db8:1::2';
const REMOTE6 = '2001:db8:1::1';
const BEYOND6 = '2001:db8:2::1';
/** As a server writes them. */
const [HOST_PEER, REMOTE_PEER] = ['2001:db8:1:0:0:0:0:2', '2001:db8:1:0:0:0:0:1'];

const POINT = { mode: 'veth', ports: ['8080:80', '5353:53/udp'] };
const JOINED = { bridge: 'lan0', subnet6: 'fd00:63::/64', ports: ['8081:80'] };

function writeServer(host: TestHost, base: string, network: SpecKeys): PlacedSpec {
  const args = serve(base, 'tcp:80', 'tcp6:80', 'udp:53', 'udp6:53');
  return writeSpec(host, base, { process: { args, stopTimeout: '5s' }, network });
}

/** An uplink with IPv6, and a bridge with a port and two IPv6 networks. */
async function prepare(host: TestHost): Promise<void> {
  const lines = [
    `address add ${HOST6}/64 dev eth0 nodad`,
    'link add lan0 address 02:00:00:00:62:01 type bridge',
    'link add port0 type veth peer name port1',
    'link set port0 master lan0',
    'address add 10.62.0.1/24 dev lan0',
    'address add fd00:62::1/64 dev lan0 nodad',
    'address add fd00:63::1/64 dev lan0 nodad',
    'link set port0 up',
    'link set port1 up',
    'link set lan0 up',
  ];
  for (const line of lines) await host.output(['ip', ...line.split(' ')]);
  for (const line of [`${REMOTE6}/64 dev eth0`, `${BEYOND6}/128 dev lo`])
    await host.remote.output(['ip', 'address', 'add', ...line.split(' '), 'nodad']);
  await host.output(['ip', '-6', 'route', 'add', 'default', 'via', REMOTE6]);
  // The kernel gives the bridge a link-local address when it is up, and tries whether somebody has it.
  const settled = 'ip -6 address show dev lan0 scope link | grep inet6 | grep -qv tentative';
  await host.output(['timeout', '30', 'sh', '-c', `until ${settled}; do sleep 0.05; done`]);
}

function addressesOfLan(host: TestHost): Promise<string> {
  return host.output(['ip', '-oneline', 'address', 'show', 'dev', 'lan0']);
}

describe.skipIf(!requireSystem())('IPv6', () => {
  let point: PlacedSpec;
  let joined: PlacedSpec;
  let foreign: string;
  const getHost = shareHost({
    prepare: async (host) => {
      await prepare(host);
      foreign = await addressesOfLan(host);
    },
    start: async (host) => {
      point = writeServer(host, 'point', POINT);
      joined = writeServer(host, 'joined', JOINED);
      await succeed(host, 'apply', point.file, joined.file);
    },
  });
  const onHost: Run = (argv) => getHost().exec(argv);
  const onRemote: Run = (argv) => getHost().remote.exec(argv);
  const specOf = (base: string): PlacedSpec => (base === 'point' ? point : joined);

  it('point to point is published to another host, whose address the container sees', async () => {
    await expect
      .poll(() => ask(onRemote, { address: HOST6, port: 8080 }), SOON)
      .toBe(`point ${REMOTE_PEER} hello`);
    const datagram = { protocol: 'udp', address: HOST6, port: 5353 } as const;
    await expect.poll(() => ask(onRemote, datagram), SOON).toBe(`point ${REMOTE_PEER} hello`);
  });

  it('on a foreign bridge is published to another host', async () => {
    await expect
      .poll(() => ask(onRemote, { address: HOST6, port: 8081 }), SOON)
      .toBe(`joined ${REMOTE_PEER} hello`);
  });

  it.each([
    ['point', 8080],
    ['joined', 8081],
  ])('of %s is published to this host, on ::1 too', async (base, port) => {
    for (const address of ['::1', HOST6])
      expect(await ask(onHost, { address, port })).toMatch(new RegExp(`^${base} \\S+ hello$`));
  });

  it.each(['point', 'joined'])('of %s reaches beyond this host by its address', async (base) => {
    const host = getHost();
    const stop = await startServer(host.remote, 'beyond', 'tcp6:7000', 'udp6:7000');
    const run = inside(host, specOf(base).name);
    expect(await ask(run, { address: BEYOND6, port: 7000 })).toBe(`beyond ${HOST_PEER} hello`);
    // A server on all addresses answers a datagram from its nearest one.
    const datagram = { protocol: 'udp', address: REMOTE6, port: 7000 } as const;
    expect(await ask(run, datagram)).toBe(`beyond ${HOST_PEER} hello`);
    await stop();
  });

  it('on a foreign bridge is of the network that the spec names, by the bridge’s own address', async () => {
    const host = getHost();
    expect((await find(host, joined.name)).address6).toBe('fd00:63::2');
    const route = await host.output(['ip', '-n', `runspec-${joined.name}`, '-6', 'route', 'show', 'default']);
    expect(route).toContain('via fd00:63::1 ');
  });

  it('is the same in equivalent spellings', async () => {
    const host = getHost();
    const spelled = writeServer(host, 'joined', {
      ...JOINED,
      subnet6: 'FD00:0063:0:0::/64',
      gateway6: 'fd00:63:0:0:0:0:0:1',
      address6: 'fd00:63::0002',
    });
    expect(await pending(host, spelled.file)).toEqual([]);
    expect(await pending(host, point.file)).toEqual([]);
  });

  it.each<readonly [string, string, string, RegExp]>([
    [
      'the host end lost its address',
      'point',
      'ip -6 address flush dev "$link" scope global',
      /^veth:eth0 drifted$/,
    ],
    ['the host end is down', 'point', 'ip link set "$link" down', /^veth:eth0 drifted$/],
    [
      'the host end listens to router advertisements',
      'point',
      'echo 2 >"/proc/sys/net/ipv6/conf/$link/accept_ra"',
      /^veth:eth0 drifted$/,
    ],
    [
      'the foreign bridge lost its address',
      'joined',
      'ip -6 address delete fd00:63::1/64 dev lan0',
      /^bridge:lan0 drifted$/,
    ],
  ])('is mended with the same process when %s', async (_, base, command, step) => {
    const host = getHost();
    const { name, file } = specOf(base);
    const [identity, port] = [await identify(host, name), base === 'point' ? 8080 : 8081];
    const link = /rs[0-9a-f]{8}/.exec(
      await host
        .output(['ip', '-oneline', 'link', 'show'])
        .then((text) => text.split('\n').find((line) => line.includes(`runspec:${name}`)) ?? ''),
    )?.[0];
    await host.output(['sh', '-ec', `link=$1; ${command}`, 'sh', link ?? '']);
    expect(await drift(host, name)).toContainEqual(expect.stringMatching(step));
    await succeed(host, 'apply', file);
    expect(await drift(host, name)).toEqual([]);
    expect(await identify(host, name)).toBe(identity);
    expect(await ask(onRemote, { address: HOST6, port })).toMatch(new RegExp(`^${base} `));
  });

  it('leaves a foreign bridge its addresses when its container is down', async () => {
    const host = getHost();
    await succeed(host, 'down', joined.name);
    // The kernel lists them in the order in which they came: one was taken away and given back.
    const sorted = (text: string): readonly string[] =>
      text
        .split('\n')
        .map((line) => line.replace(/^\d+: /, '').trim())
        .toSorted();
    expect(sorted(await addressesOfLan(host))).toEqual(sorted(foreign));
    expect(await ask(onRemote, { address: HOST6, port: 8080 })).toBe(`point ${REMOTE_PEER} hello`);
  });
});
