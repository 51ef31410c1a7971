// Flows that the kernel remembers. It asks the nat chains for the first packet of a flow only: a UDP client that keeps
// sending from one port still reaches where its first datagram went, though that is gone or was never ours.
import { commandError } from './commands.ts';
import type { Host } from './host.ts';
import type { KernelView } from './kernel-view.ts';

export interface PublishedUdp {
  readonly family: 'ipv4' | 'ipv6';
  readonly port: number;
}

/** Forgets flows to a UDP port of this host. Does nothing without conntrack(8), which `doctor` reports. */
export async function forgetFlows(
  host: Host,
  view: KernelView,
  { family, port }: PublishedUdp,
): Promise<void> {
  if ((await host.which('conntrack')) === undefined) return;
  const flows = ['-f', family, '-p', 'udp', '--orig-port-dst', String(port)];
  const listed = await host.run(['conntrack', '-L', ...flows]);
  // A kernel without ctnetlink gives no list: its flows end by themselves, after half a minute of silence.
  if (listed.status !== 0) return;
  const links = await view.links();
  const local = new Set(links.flatMap((link) => link.addresses.map(({ address }) => address)));
  const destinations = listed.stdout.split('\n').flatMap((line) => {
    const [destination, answering] = [/ dst=(\S+)/, / src=\S+ .* src=(\S+)/].map(
      (one) => one.exec(line)?.[1],
    );
    if (destination === undefined) return [];
    // Flows that only pass through this host, to the same port of another, are left.
    const isOurs = local.has(destination) || destination.startsWith('127.') || answering !== destination;
    return isOurs ? [destination] : [];
  });
  for (const destination of new Set(destinations))
    await forget(host, ['conntrack', '-D', ...flows, '--orig-dst', destination]);
}

/** Complaint of conntrack -D about a flow that ended after it was listed; it stops there, with others still to go. */
const ENDED_MEANWHILE = /such conntrack doesn't exist/;
const ATTEMPTS = 20;

async function forget(host: Host, argv: readonly string[]): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await host.run(argv);
    // Status 1 with a count of 0: the flows have ended since.
    if (result.status === 0 || /flow entries have been deleted/.test(result.stderr)) return;
    if (attempt < ATTEMPTS && ENDED_MEANWHILE.test(result.stderr)) continue;
    throw commandError('cannot forget the flows to a published udp port', result);
  }
}
