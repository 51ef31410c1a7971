// On one host with a firewall as ufw, firewalld and admins write it: either a container is reached and reaches beyond,
// or the plan names the rule that stops it, and what the hint says helps. Theirs is never changed.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { drift, pending, succeed } from '../support/containers.ts';
import { CASES, firewalld, LINK, load, type Passes } from '../support/firewalls.ts';
import { programs, requireSystem } from '../support/requirements.ts';
import { writeSpec, type PlacedSpec } from '../support/specs.ts';
import { ask, startServer, type Run } from '../support/talk.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';

/** A server that was just started listens within this. */
const SOON = { timeout: 30_000, interval: 50 };

const HOST6 = '2001:db8:1::2';

/** Answers lines on both families. */
const SERVER = `
  $| = 1; $SIG{TERM} = sub { exit 0 }; $SIG{CHLD} = 'IGNORE';
  socket(my $server, 10, 1, 0) or die $!;
  setsockopt($server, 1, 2, pack('l', 1));
  bind($server, pack('S n N a16 N', 10, 80, 0, "\\0" x 16, 0)) or die $!;
  listen($server, 16) or die $!;
  while (1) {
    accept(my $client, $server) or next;
    if (fork) { close $client; next }
    select((select($client), $| = 1)[0]);
    while (my $line = <$client>) { print $client "web $line" }
    exit 0;
  }`;

describe.skipIf(!requireSystem())('beside a firewall', () => {
  const usable = CASES.filter(({ needs = [] }) => programs(...needs));
  let made: TestHost | undefined;
  let stopServer: (() => Promise<void>) | undefined;
  const host = (): TestHost => {
    if (made === undefined) throw new Error('the host could not be made');
    return made;
  };
  const onHost: Run = (argv) => host().exec(argv);
  /** In the network of a container, with the host's programs. */
  const asContainer =
    (name: string): Run =>
    (argv) =>
      host().exec(['nsenter', `--net=/run/netns/runspec-${name}`, ...argv]);
  const onRemote: Run = (argv) => host().remote.exec(argv);

  beforeAll(async () => {
    made = await createTestHost();
    for (const [place, address] of [
      [made, HOST6],
      [made.remote, '2001:db8:1::1'],
    ] as const)
      await place.output(['ip', 'address', 'add', `${address}/64`, 'dev', 'eth0', 'nodad']);
    await made.output(['ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:1::1']);
  });

  afterAll(async () => {
    await made?.destroy();
  });

  /** What all tools say, without counters and dates. */
  const rules = async (): Promise<string> => {
    const saves = [
      'iptables-legacy-save',
      'ip6tables-legacy-save',
      'iptables-nft-save',
      'ip6tables-nft-save',
    ];
    const saved = programs('iptables')
      ? await Promise.all(saves.map((program) => host().output([program])))
      : [];
    const shown = saved
      .join('\n')
      .replaceAll(/\[\d+:\d+\]/g, '')
      .replaceAll(/^#.*$/gm, '');
    return `${shown}\n${await host().output(['nft', '--stateless', 'list', 'ruleset'])}`;
  };
  const clear = async (): Promise<void> => {
    await host().output(['nft', 'flush', 'ruleset']);
    if (!programs('iptables')) return;
    for (const tool of ['iptables-legacy', 'ip6tables-legacy'])
      await host().output([`${tool}-restore`], {
        stdin: '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n',
      });
  };
  afterEach(async () => {
    await stopServer?.();
    stopServer = undefined;
    await succeed(host(), 'down', '--all');
    await clear();
  });

  const plan = async (spec: PlacedSpec): Promise<readonly string[]> => {
    const { status, stderr } = await host().runspec('plan', spec.file);
    expect(status).toBe(0);
    return stderr.split('\n');
  };
  const warnings = (lines: readonly string[]): readonly string[] =>
    lines.flatMap((line) => /warning: (.* dropped by .*)$/.exec(line)?.[1] ?? []);
  const hints = (lines: readonly string[]): readonly string[] =>
    lines.flatMap((line) => /hint: (.*)$/.exec(line)?.[1] ?? []);

  /** The three ways, with time to answer when they are expected to. */
  async function reach({ name }: PlacedSpec, expected: Passes): Promise<Passes> {
    const { address, remote } = host();
    const to = (way: 0 | 1 | 2): { readonly seconds: number } => ({
      seconds: expected[way] === '-' ? 1 : 20,
    });
    const [inward, local, outward] = await Promise.all([
      ask(onRemote, { address, port: 8080, ...to(0) }),
      ask(onHost, { address: '127.0.0.1', port: 8080, ...to(1) }),
      ask(asContainer(name), { address: remote.beyond, port: 7000, ...to(2) }),
    ]);
    const is = (answer: string | undefined): boolean => answer !== undefined;
    return [is(inward) ? 'inward' : '-', is(local) ? 'local' : '-', is(outward) ? 'outward' : '-'];
  }

  async function up(): Promise<PlacedSpec> {
    const network = {
      bridge: LINK,
      subnet: '10.68.0.0/24',
      subnet6: 'fd00:68::/64',
      ports: ['8080:80'],
    };
    const spec = writeSpec(host(), 'web', { process: { args: ['perl', '-e', SERVER] }, network });
    await succeed(host(), 'apply', spec.file);
    const listens = async (): Promise<string | undefined> =>
      ask(asContainer(spec.name), { address: '127.0.0.1', port: 80 });
    await expect.poll(listens, SOON).toBe('web hello');
    return spec;
  }

  it.each(usable)('the plan says what it does to a container: $title', async (one) => {
    stopServer = await startServer(host().remote, 'beyond', 'tcp:7000');
    await one.prepare(host());
    const before = await rules();
    const web = await up();
    const lines = await plan(web);
    expect(warnings(lines).toSorted()).toEqual(one.stops.toSorted());
    expect([...new Set(hints(lines))].toSorted()).toEqual(one.hints.toSorted());
    expect(await reach(web, one.passes)).toEqual(one.passes);
    const { stdout: found } = await host().runspec('doctor');
    for (const stop of one.stops) expect(found).toContain(`firewall           ${web.name}: ${stop}\n`);
    expect(/^ok +firewall/m.test(found)).toBe(one.stops.length === 0);
    await succeed(host(), 'down', web.name);
    expect(await rules()).toBe(before);
  });

  it.each(usable.filter(({ stops }) => stops.length > 0))('what the hints say helps: $title', async (one) => {
    stopServer = await startServer(host().remote, 'beyond', 'tcp:7000');
    await one.prepare(host());
    await one.allow(host());
    const before = await rules();
    const web = await up();
    expect(warnings(await plan(web))).toEqual([]);
    const all = ['inward', 'local', 'outward'] as const;
    expect(await reach(web, all)).toEqual(all);
    await succeed(host(), 'down', web.name);
    expect(await rules()).toBe(before);
  });

  it('an apply that has something to do names them, and a second one is silent', async () => {
    const [one] = usable.filter(({ stops }) => stops.length > 0);
    if (one === undefined) throw new Error('no firewall of this machine stops anything');
    await one.prepare(host());
    const web = await up();
    const apply = async (): Promise<readonly string[]> => {
      const { status, stderr } = await host().runspec('apply', web.file);
      expect(status).toBe(0);
      return warnings(stderr.split('\n'));
    };
    expect(await apply()).toEqual([]);
    await host().output(['nft', 'flush', 'chain', 'inet', 'runspec', 'forward']);
    expect((await apply()).toSorted()).toEqual(one.stops.toSorted());
    await succeed(host(), 'down', web.name);
  });

  // As dockerd leaves it that has no bridge of its own, or gave its bridges other names.
  it.skipIf(!programs('iptables'))(
    'Docker’s chain without a link of Docker’s gets its rule too',
    async () => {
      const iptables = async (...words: readonly string[]): Promise<string> =>
        host().output(['iptables', '-w', ...words]);
      stopServer = await startServer(host().remote, 'beyond', 'tcp:7000');
      await iptables('-N', 'DOCKER-USER');
      await iptables('-A', 'FORWARD', '-j', 'DOCKER-USER');
      await iptables('-P', 'FORWARD', 'DROP');
      const before = await iptables('-S');
      const web = await up();
      const way: Passes = ['inward', 'local', 'outward'];
      expect(await reach(web, way)).toEqual(way);
      expect(warnings(await plan(web))).toEqual([]);
      // A neighbour on another bridge, with a container of ours up by now.
      const other = writeSpec(host(), 'other', { network: { bridge: 'wall1', subnet: '10.69.0.0/24' } });
      await succeed(host(), 'apply', other.file);
      expect(await iptables('-S', 'DOCKER-USER')).toMatch(/runspec-wall0\n[^]*runspec-wall1\n/);
      for (const { file, name } of [web, other]) {
        expect(await pending(host(), file)).toEqual([]);
        expect(await drift(host(), name)).toEqual([]);
      }
      await iptables('-F', 'DOCKER-USER');
      expect(await drift(host(), web.name)).toEqual([expect.stringContaining('docker:wall0')]);
      await succeed(host(), 'apply', web.file);
      expect(await reach(web, way)).toEqual(way);
      // Its record lost, what is left is found by its owner's name.
      fs.rmSync(path.join(host().dataDir, 'containers', other.name), { recursive: true });
      await succeed(host(), 'gc');
      await succeed(host(), 'down', web.name);
      expect(await iptables('-S')).toBe(before);
      await iptables('-P', 'FORWARD', 'ACCEPT');
      await iptables('-F');
      await iptables('-X');
    },
  );

  it('firewalld’s reverse path filter for IPv6 lets a port on ::1 be served', async () => {
    await load(firewalld)(host());
    expect(await host().output(['nft', 'list', 'chain', 'inet', 'firewalld', 'filter_PREROUTING'])).toContain(
      'fib saddr . mark . iif oif missing drop',
    );
    const { name } = await up();
    expect(await ask(onHost, { address: '::1', port: 8080, seconds: 20 })).toBe('web hello');
    expect(await ask(onRemote, { address: HOST6, port: 8080, seconds: 20 })).toBe('web hello');
    await succeed(host(), 'down', name);
  });
});
