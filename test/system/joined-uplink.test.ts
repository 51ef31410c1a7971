// A bridge of somebody else's by which the host itself reaches the world, and forwards for others: a container on it
// changes nothing for any packet but its own.
import { describe, expect, it } from 'vitest';
import { inside, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask, startServer, type Run } from '../support/talk.ts';
import type { TestHost } from '../support/test-host.ts';

/** Another machine that the host forwards for, as a virtual one. */
const GUEST = '10.77.0.2';
const JOINED = { bridge: 'br0', address: '198.51.100.77', ports: ['8080:80'] };

async function makeBridge(host: TestHost): Promise<void> {
  const lines = [
    'link add br0 type bridge',
    'link set eth0 master br0',
    'address flush dev eth0 scope global',
    `address add ${host.address}/24 dev br0`,
    'link set br0 up',
    `route add default via ${host.remote.address}`,
    'netns add guest',
    'link add guest0 type veth peer name eth0 netns guest',
    'address add 10.77.0.1/24 dev guest0',
    'link set guest0 up',
    `-n guest address add ${GUEST}/24 dev eth0`,
    '-n guest link set eth0 up',
    '-n guest route add default via 10.77.0.1',
  ];
  for (const line of lines) await host.output(['ip', ...line.split(' ')]);
  await host.output(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1']);
  await host.remote.output(['ip', 'route', 'add', '10.77.0.0/24', 'via', host.address]);
  // A bridge forwards a moment after its port is up, and only then gets its link-local address.
  const settled = 'ip -6 address show dev "$0" scope link | grep inet6 | grep -qv tentative';
  const script = `[ ! -e /proc/net/if_inet6 ] || until ${settled}; do sleep 0.05; done`;
  for (const link of ['br0', 'guest0']) await host.output(['timeout', '30', 'sh', '-c', script, link]);
}

describe.skipIf(!requireSystem())('a joined bridge that is the uplink of the host', () => {
  const getHost = shareHost({ prepare: makeBridge });
  const write = (base: string, network: SpecKeys): PlacedSpec =>
    writeSpec(getHost(), base, { process: { args: serve(base, 'tcp:80'), stopTimeout: '0s' }, network });
  const onGuest: Run = (argv) => getHost().exec(['nsenter', '--net=/run/netns/guest', '--', ...argv]);
  const onRemote: Run = (argv) => getHost().remote.exec(argv);

  it('goes on carrying what is forwarded for others, and the packets of other containers', async () => {
    const { address, remote } = getHost();
    const stop = await startServer(remote, 'beyond', 'tcp:7000');
    const beyond = { address: remote.beyond, port: 7000, seconds: 2 };
    const other = write('other', {});
    await succeed(getHost(), 'apply', other.file);
    expect(await ask(onGuest, beyond)).toMatch(/^beyond /);
    expect(await ask(inside(getHost(), other.name), beyond)).toMatch(/^beyond /);
    const joined = write('joined', JOINED);
    await succeed(getHost(), 'apply', joined.file);
    expect(await pending(getHost(), joined.file)).toEqual([]);
    expect(await ask(onGuest, beyond)).toMatch(/^beyond /);
    // By the address of the host: nobody out there knows the way back to its own.
    expect(await ask(inside(getHost(), other.name), beyond)).toMatch(/^beyond /);
    expect(await ask(inside(getHost(), joined.name), beyond)).toMatch(/^beyond /);
    // Its published port is for all, and what is not published only for those who are on the bridge themselves.
    for (const run of [onGuest, onRemote])
      expect(await ask(run, { address, port: 8080 })).toMatch(/^joined /);
    expect(await ask(onGuest, { address: JOINED.address, port: 80, seconds: 1 })).toBeUndefined();
    expect(await ask(onRemote, { address: JOINED.address, port: 80 })).toMatch(/^joined /);
    await stop();
    await succeed(getHost(), 'down', joined.name, other.name);
  });
});
