// UDP clients that never stop sending: the kernel remembers where their datagrams went, a container that is
// made again must not have to wait until it forgets.
import { describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { programs, requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type PlacedSpec } from '../support/specs.ts';
import type { Place, TestHost } from '../support/test-host.ts';

/** Sends a datagram every 50 ms from one port, which keeps the flow alive, and prints each answer. */
const CLIENT = `
  use IO::Socket::INET; $| = 1;
  my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => $ARGV[0], PeerPort => $ARGV[1], LocalPort => 40000) or die $!;
  $s->blocking(0);
  for (my $n = 1;; $n++) {
    $s->send("datagram $n\\n");
    select(undef, undef, undef, 0.05);
    my $answer;
    while (defined $s->recv($answer, 1024)) { print $answer }
  }`;

/** Containers of one name and one published port, under addresses of their own. */
function writeServer(host: TestHost, answer: string, address: string): PlacedSpec {
  return writeSpec(host, 'names', {
    process: { args: serve(answer, 'udp:53') },
    network: { bridge: 'flow0', subnet: '10.62.0.0/24', address, ports: ['5353:53/udp'] },
  });
}

describe.skipIf(!requireSystem() || !programs('conntrack'))('a UDP port', () => {
  const getHost = shareHost({
    // The kernel remembers flows only where some rule asks for it, as those of another container do.
    start: (host) =>
      succeed(
        host,
        'apply',
        writeSpec(host, 'neighbour', {
          network: { bridge: 'flow0', subnet: '10.62.0.0/24', address: '10.62.0.3' },
        }).file,
      ),
  });

  it.each([
    ['this host', (host: TestHost): Place => host],
    ['another host', (host: TestHost): Place => host.remote],
  ])(
    'reaches the next container under another address, for a client of %s that keeps sending',
    async (_, at) => {
      const host = getHost();
      // Before anything is published its datagrams are for the host itself, which is remembered as well.
      const client = await at(host).start(['perl', '-e', CLIENT, host.address, '5353']);
      const flows = (): Promise<string> =>
        host.output(['conntrack', '-L', '-p', 'udp', '--orig-port-dst', '5353']);
      await expect.poll(flows, { timeout: 20_000 }).toContain('sport=40000 dport=5353');
      await succeed(host, 'apply', writeServer(host, 'first', '10.62.0.2').file);
      await expect.poll(client.written, { timeout: 20_000 }).toContain('first ');
      const { file, name } = writeServer(host, 'second', '10.62.0.9');
      await succeed(host, 'down', name);
      expect(await flows()).not.toContain('10.62.0.2');
      await succeed(host, 'apply', file);
      await expect.poll(client.written, { timeout: 20_000 }).toContain('second ');
      // Made again in one call.
      await succeed(host, 'apply', writeServer(host, 'third', '10.62.0.5').file);
      await expect.poll(client.written, { timeout: 20_000 }).toContain('third ');
      client.kill('SIGKILL');
      await client.ended;
      await succeed(host, 'down', name);
    },
  );
});
