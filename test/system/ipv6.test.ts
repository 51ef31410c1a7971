// IPv6 on a host that has it: published ports from everywhere, over both families and protocols, and what is refused.
import { describe, expect, it } from 'vitest';
import { drift, find, identify, inside, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask, type Question, type Run } from '../support/talk.ts';
import type { TestHost } from '../support/test-host.ts';

/** A server that was just started listens within this. */
const SOON = { timeout: 30_000 };

const HOST6 = '2001:db8:1::2';
const REMOTE6 = '2001:db8:1::1';

/** Answers tcp 80 and udp 53 on both families with its name; one process for each, IPv6 sockets take IPv4 too. */
const SERVER = `
  my $name = shift; $| = 1; my @kids; $SIG{TERM} = sub { kill 'KILL', @kids; exit 0 };
  for (['tcp', 80], ['udp', 53]) {
    my ($protocol, $port) = @$_;
    socket(my $server, 10, $protocol eq 'tcp' ? 1 : 2, 0) or die $!;
    setsockopt($server, 1, 2, pack('l', 1));
    bind($server, pack('S n N a16 N', 10, $port, 0, "\\0" x 16, 0)) or die $!;
    listen($server, 16) if $protocol eq 'tcp';
    my $kid = fork; if ($kid) { push @kids, $kid; next }
    $SIG{TERM} = 'DEFAULT'; $SIG{CHLD} = 'IGNORE';
    while ($protocol eq 'udp') { my $from = recv($server, my $text, 2048, 0); send($server, "$name $text", 0, $from) if defined $from }
    while (1) {
      accept(my $client, $server) or next;
      if (fork) { close $client; next }
      select((select($client), $| = 1)[0]);
      while (my $line = <$client>) { print $client "$name $line" }
      exit 0;
    }
  }
  sleep 1 while 1;`;

function writeServer(host: TestHost, base: string, network: SpecKeys): PlacedSpec {
  return writeSpec(host, base, {
    process: { args: ['perl', '-e', SERVER, base], stopTimeout: '5s' },
    network,
  });
}

describe.skipIf(!requireSystem())('a host with IPv6', () => {
  let said = '';
  let web: PlacedSpec;
  let sibling: PlacedSpec;
  const ports = ['8080:80', '5353:53/udp', '127.0.0.1:9090:80', '[::1]:9091:80', `[${HOST6}]:9092:80`];
  const getHost = shareHost({
    prepare: async (host) => {
      for (const [place, address] of [
        [host, HOST6],
        [host.remote, REMOTE6],
      ] as const)
        await place.output(['ip', 'address', 'add', `${address}/64`, 'dev', 'eth0', 'nodad']);
    },
    start: async (host) => {
      web = writeServer(host, 'web', { ports });
      sibling = writeServer(host, 'sibling', {});
      const { status, stderr } = await host.runspec('apply', web.file, sibling.file);
      if (status !== 0) throw new Error(stderr);
      said = stderr;
    },
  });
  const onHost: Run = (argv) => getHost().exec(argv);
  const places: Readonly<Record<string, Run>> = {
    'the host': onHost,
    'another host': (argv) => getHost().remote.exec(argv),
    'the container itself': (argv) => inside(getHost(), web.name)(argv),
    'a sibling': (argv) => inside(getHost(), sibling.name)(argv),
  };
  const quietly = (run: Run, question: Question) => ask(run, { seconds: 1, ...question });

  const matrix = (['tcp', 'udp'] as const).flatMap((protocol) => [
    ...['127.0.0.1', '::1'].map((address) => ({ protocol, address, from: 'the host' })),
    ...Object.keys(places).flatMap((from) =>
      ['198.51.100.2', HOST6].map((address) => ({ protocol, address, from })),
    ),
  ]);
  it('says where they are reached, over both families', () => {
    expect(said).toMatch(
      /web is up, address 10\.209\.0\.2 and fd\S+::2, ports 0\.0\.0\.0:8080->80\/tcp \[::\]:8080->80\/tcp /,
    );
    expect(said).toContain(' [::1]:9091->80/tcp ');
  });

  it('has servers that listen', async () => {
    await expect.poll(() => ask(onHost, { address: '127.0.0.1', port: 8080 }), SOON).toBe('web hello');
    await expect.poll(() => ask(onHost, { address: HOST6, port: 9092 }), SOON).toBe('web hello');
  });

  it.each(matrix)('serves $protocol on $address from $from', async ({ protocol, address, from }) => {
    const port = protocol === 'tcp' ? 8080 : 5353;
    const answer = await ask(places[from] as Run, { protocol, address, port, seconds: 20 });
    expect(answer).toBe('web hello');
  });

  it('serves a port of ::1 and of one address there and nowhere else', async () => {
    const remote = places['another host'] as Run;
    expect(await ask(onHost, { address: '::1', port: 9091 })).toBe('web hello');
    expect(await ask(remote, { address: HOST6, port: 9092 })).toBe('web hello');
    const { address6 } = await addresses(getHost(), web.name);
    await getHost().remote.output(['ip', '-6', 'route', 'add', `${address6}/128`, 'via', HOST6]);
    const tried: readonly Question[] = [
      { address: HOST6, port: 9090 },
      { address: HOST6, port: 9091 },
      { address: address6, port: 80 },
      { address: address6, port: 53, protocol: 'udp' },
    ];
    const answers = await Promise.all(tried.map((question) => quietly(remote, question)));
    await getHost().remote.output(['ip', '-6', 'route', 'del', `${address6}/128`]);
    expect(answers).toEqual(tried.map(() => undefined));
    expect(await quietly(onHost, { address: '127.0.0.1', port: 9091 })).toBeUndefined();
    expect(await quietly(onHost, { address: '::1', port: 9090 })).toBeUndefined();
  });

  it('is left by the host’s address, and siblings reach each other', async () => {
    const run = places['a sibling'] as Run;
    const { address6 } = await addresses(getHost(), web.name);
    expect(await ask(run, { address: address6, port: 80 })).toBe('web hello');
    const { stdout } = await run(['cat', '/etc/hosts']);
    expect(stdout).toContain(`${(await addresses(getHost(), sibling.name)).address6}\t`);
  });

  it('needs no change when nothing changed', async () => {
    const host = getHost();
    expect(await pending(host, web.file)).toEqual([]);
    expect(await drift(host, web.name)).toEqual([]);
  });

  it.each<readonly [string, string, readonly RegExp[]]>([
    [
      'the address in the container',
      'ip -n "$netns" -6 address flush dev eth0 scope global',
      [/^address:eth0 drifted$/],
    ],
    [
      'the default route in the container',
      'ip -n "$netns" -6 route delete default',
      [/^address:eth0 drifted$/],
    ],
    [
      'the address of the bridge',
      'ip -6 address flush dev runspec0 scope global',
      [/^bridge:runspec0 drifted$/],
    ],
    // With it the kernel takes its IPv6 address, and not the IPv4 one.
    ['a bridge that is up', 'ip link set runspec0 down', [/^bridge:runspec0 drifted$/]],
    ['a bridge that hears no routers', 'echo 1 >$conf/runspec0/accept_ra', [/^bridge:runspec0 drifted$/]],
    ['forwarding', 'echo 0 >$conf/all/forwarding', [/^sysctl:net\.ipv6\.conf\.all\.forwarding drifted$/]],
    ['a port', 'nft flush map inet runspec ports6', [/^port6:tcp\/8080 absent$/, /^port6:udp\/5353 absent$/]],
    ['NAT', 'nft flush set inet runspec sources6', [/^nat:fd72:\S+ absent$/]],
    ['the way back to ::1', 'nft delete table netdev "$netns"', [/^ingress:rs[0-9a-f]{8} absent$/]],
  ])('names what was taken away, and gives it back to the same process: %s', async (_, command, found) => {
    const host = getHost();
    const before = await identify(host, web.name);
    const script = `netns=$1 conf=/proc/sys/net/ipv6/conf; ${command}`;
    await host.output(['sh', '-ec', script, 'sh', `runspec-${web.name}`]);
    expect(await drift(host, web.name)).toEqual(found.map((one): unknown => expect.stringMatching(one)));
    await succeed(host, 'apply', web.file);
    expect(await drift(host, web.name)).toEqual([]);
    expect(await identify(host, web.name)).toBe(before);
    const remote = places['another host'] as Run;
    expect(await ask(remote, { address: HOST6, port: 8080 })).toBe('web hello');
    expect(await ask(onHost, { address: '::1', port: 8080 })).toBe('web hello');
  });

  it('tells what route of the host leads elsewhere', async () => {
    const host = getHost();
    const { address6 } = await addresses(host, web.name);
    await host.output(['ip', '-6', 'route', 'add', `${address6}/128`, 'via', REMOTE6]);
    expect(await drift(host, web.name)).toEqual(['address:eth0 shadowed']);
    expect((await host.runspec('status', web.name)).stdout).toContain(
      `shadowed: the host's route ${address6} leads ${address6} by eth0`,
    );
    await host.output(['ip', '-6', 'route', 'delete', `${address6}/128`]);
    expect(await drift(host, web.name)).toEqual([]);
  });

  it('is listed with both addresses, and with ports of both families', async () => {
    const { address, address6, ports: shown } = await find(getHost(), web.name);
    expect({ address, address6 }).toEqual({
      address: '10.209.0.2',
      ...(await addresses(getHost(), web.name)),
    });
    expect(shown).toEqual([
      '0.0.0.0:8080->80/tcp',
      '[::]:8080->80/tcp',
      '0.0.0.0:5353->53/udp',
      '[::]:5353->53/udp',
      '127.0.0.1:9090->80/tcp',
      '[::1]:9091->80/tcp',
      `[${HOST6}]:9092->80/tcp`,
    ]);
    expect(await succeed(getHost(), 'ps')).toContain(
      ` ${address} ${address6}  0.0.0.0:8080->80/tcp [::]:8080->80/tcp `,
    );
  });

  it('keeps the process when IPv6 is taken away and given back', async () => {
    const host = getHost();
    const before = await identify(host, web.name);
    const without = writeServer(host, 'web', {
      ports: ports.filter((port) => !port.startsWith('[')),
      ipv6: false,
    });
    await succeed(host, 'apply', without.file);
    expect(await quietly(onHost, { address: '::1', port: 8080 })).toBeUndefined();
    expect(await ask(onHost, { address: '127.0.0.1', port: 8080 })).toBe('web hello');
    await succeed(host, 'apply', writeServer(host, 'web', { ports }).file);
    expect(await ask(onHost, { address: '::1', port: 8080 })).toBe('web hello');
    expect(await identify(host, web.name)).toBe(before);
  });

  it('goes on listening to router advertisements while it forwards', async () => {
    const acceptance = await getHost().output(['cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra']);
    expect(acceptance.trim()).toBe('2');
    expect((await find(getHost(), web.name)).state).toBe('running');
  });
});

async function addresses(host: TestHost, name: string): Promise<{ readonly address6: string }> {
  const text = await host.output([
    'ip',
    '-n',
    `runspec-${name}`,
    '-j',
    '-6',
    'address',
    'show',
    'dev',
    'eth0',
    'scope',
    'global',
  ]);
  const links = JSON.parse(text) as readonly { readonly addr_info: readonly { readonly local: string }[] }[];
  return { address6: links[0]?.addr_info[0]?.local ?? 'none' };
}
