// A container that is up goes to another bridge or subnet, and its neighbours stay connected.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { drift, find, identify, inside, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, type SpecKeys, writeSpec } from '../support/specs.ts';
import { ask } from '../support/talk.ts';

describe.skipIf(!requireSystem())('a network that is changed', () => {
  const getHost = shareHost({});
  const write = (base: string, port: number, network: Readonly<Record<string, unknown>>) =>
    writeSpec(getHost(), base, {
      process: { args: serve(base, 'tcp:80'), stopTimeout: '0s' },
      network: { ports: [`${port}:80`], ...network },
    });
  const hostEnd = (name: string): string =>
    `rs${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
  const answer = (port: number) => ask((argv) => getHost().exec(argv), { address: '127.0.0.1', port });

  it('takes the container to another bridge, and the former one away', async () => {
    const host = getHost();
    const { file, name } = write('moved', 8080, { bridge: 'from0' });
    await succeed(host, 'apply', file);
    const process = await identify(host, name);
    write('moved', 8080, { bridge: 'to0' });
    const { stdout } = await host.runspec('plan', file);
    expect(stdout).toMatch(/± veth:eth0 .*\n +bridge:from0 goes/);
    await succeed(host, 'apply', file);
    expect(await identify(host, name)).toBe(process);
    expect(await answer(8080)).toContain('moved');
    const links = await host.output(['ip', '-brief', 'link']);
    expect(links).toContain('to0');
    expect(links).not.toContain('from0');
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', name);
  });

  it('of its own publishes the ports on which the container listened in the network of the host', async () => {
    const host = getHost();
    const listen = { args: serve('settled', 'tcp:8087'), stopTimeout: '0s' };
    const place = (base: string, network: SpecKeys) => writeSpec(host, base, { process: listen, network });
    const own = { bridge: 'own0', ports: ['8087:8087'] };
    const { file, name } = place('settled', { mode: 'host' });
    await succeed(host, 'apply', file);
    await expect.poll(() => answer(8087), { timeout: 15_000 }).toContain('settled');
    const other = place('other', own);
    const refused = await host.runspec('apply', other.file);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain(`of container ${name} listens on `);
    expect(refused.stderr).toContain(`choose another host port, or: runspec down ${name}`);
    place('settled', { bridge: 'own0' });
    const both = await host.runspec('apply', file, other.file);
    expect(both.status).toBe(2);
    expect(both.stderr).toContain(`apply ${name} by itself first`);
    place('settled', own);
    await succeed(host, 'apply', file);
    await expect.poll(() => answer(8087), { timeout: 15_000 }).toContain('settled');
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('is not taken from neighbours who are not asked, and from all of them in one call', async () => {
    const host = getHost();
    const one = write('one', 8081, { bridge: 'both0', subnet: '10.76.0.0/24' });
    const two = write('two', 8082, { bridge: 'both0', subnet: '10.76.0.0/24' });
    await succeed(host, 'apply', one.file, two.file);
    write('one', 8081, { bridge: 'both0', subnet: '10.77.0.0/24' });
    const refused = await host.runspec('apply', one.file);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain(`both0 already carries 10.76.0.0/24 for ${two.name}, not 10.77.0.0/24`);
    expect(await answer(8082)).toContain('two');
    write('two', 8082, { bridge: 'both0', subnet: '10.77.0.0/24' });
    await succeed(host, 'apply', one.file, two.file);
    for (const port of [8081, 8082]) expect(await answer(port)).toMatch(/one|two/);
    const { address } = await find(host, two.name);
    expect(address).toMatch(/^10\.77\.0\./);
    expect(
      (await inside(host, one.name)(['timeout', '5', 'bash', '-c', `: <>/dev/tcp/${address}/80`])).status,
    ).toBe(0);
    for (const { file } of [one, two]) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it.each<readonly [string, string, Readonly<Record<string, string>>]>([
    ['a bridge', '10.50', { bridge: 'gate0' }],
    ['a link point to point', '10.51', { mode: 'veth' }],
  ])('gets another gateway from %s, and connections last', async (_, net, network) => {
    const host = getHost();
    const { file, name } = write('gated', 8083, { ...network, subnet: `${net}.0.0/16` });
    await succeed(host, 'apply', file);
    // A route of the admin's by the container, as to a VPN in it.
    const { address } = await find(host, name);
    await host.output(['ip', 'route', 'add', '10.52.0.0/16', 'via', String(address)]);
    const script = 'exec 3<>"/dev/tcp/$0/8083"; for i in 1 2; do echo $i >&3; head -n 1 <&3; read -r _; done';
    await host.output(['mkfifo', '/run/go']);
    const talk = `exec 0<>/run/go; ${script}`;
    const connection = await host.remote.start(['bash', '-c', talk, host.address]);
    await expect.poll(connection.written, { timeout: 10_000 }).toMatch(/ 1\n$/);
    write('gated', 8083, { ...network, subnet: `${net}.0.0/16`, gateway: `${net}.0.254` });
    await succeed(host, 'apply', file);
    expect(await drift(host, name)).toEqual([]);
    expect(await host.output(['ip', 'route'])).toContain(`10.52.0.0/16 via ${address}`);
    expect(await host.output(['ip', '-n', `runspec-${name}`, 'route'])).toContain(
      `default via ${net}.0.254 `,
    );
    expect(await host.output(['ip', '-brief', 'address'])).not.toContain(`${net}.0.1/16`);
    await host.output(['sh', '-c', 'echo >/run/go']);
    await expect.poll(connection.written, { timeout: 10_000 }).toMatch(/ 2\n$/);
    await host.output(['sh', '-c', 'echo >/run/go']);
    await connection.ended;
    await host.output(['rm', '/run/go']);
    expect(await answer(8083)).toContain('gated');
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', name);
  });

  it.each<readonly [string, Readonly<Record<string, string>>]>([
    ['bridge', { bridge: 'away0' }],
    ['link', { mode: 'veth' }],
  ])('takes a %s that nobody else is on to the subnet of its address', async (_, network) => {
    const host = getHost();
    const { file, name } = write('away', 8084, network);
    await succeed(host, 'apply', file);
    const process = await identify(host, name);
    for (const more of [{ address: '10.53.0.2' }, { address: '10.54.0.2', gateway: '10.54.0.1' }]) {
      write('away', 8084, { ...network, ...more });
      await succeed(host, 'apply', file);
      expect((await find(host, name)).address).toBe(more.address);
      expect(await identify(host, name)).toBe(process);
      expect(await answer(8084)).toContain('away');
      expect(await pending(host, file)).toEqual([]);
    }
    expect(await host.output(['ip', 'route'])).not.toMatch(/10\.(53|209)\./);
    await succeed(host, 'down', name);
  });

  it('takes the container from a link of its own to a bridge, with the host end as a fresh one is', async () => {
    const host = getHost();
    const { file, name } = write('joining', 8085, { mode: 'veth' });
    await succeed(host, 'apply', file);
    const link = hostEnd(name);
    const look = (): Promise<string> =>
      host.output([
        'cat',
        ...['ipv4', 'ipv6'].map(
          (family, index) => `/proc/sys/net/${family}/conf/${link}/${['route_localnet', 'accept_ra'][index]}`,
        ),
      ]);
    expect(await look()).toBe('1\n0\n');
    write('joining', 8085, {});
    await succeed(host, 'apply', file);
    expect(await look()).toBe('0\n1\n');
    expect(await answer(8085)).toContain('joining');
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', name);
  });

  it('goes by the least mtu of all on it, which is no drift of the others', async () => {
    const host = getHost();
    const [wide, narrow] = [write('wide', 8081, {}), write('narrow', 8082, { mtu: 1300 })];
    await succeed(host, 'apply', wide.file);
    await succeed(host, 'apply', narrow.file);
    for (const { name } of [wide, narrow]) expect(await drift(host, name)).toEqual([]);
    await succeed(host, 'apply', wide.file);
    for (const { file } of [wide, narrow]) expect(await pending(host, file)).toEqual([]);
    await host.output(['ip', 'link', 'set', 'runspec0', 'mtu', '1200']);
    expect(await drift(host, narrow.name)).toEqual(['bridge:runspec0 drifted']);
    await succeed(host, 'apply', wide.file, narrow.file);
    for (const { name } of [wide, narrow]) expect(await drift(host, name)).toEqual([]);
    write('narrow', 8082, { mtu: 1400 });
    await succeed(host, 'apply', wide.file, narrow.file);
    expect(await host.output(['cat', '/proc/sys/net/ipv6/conf/runspec0/mtu'])).toBe('1400\n');
    for (const { file } of [wide, narrow]) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('goes by the mtu of who is left when a neighbour goes, which is no drift', async () => {
    const host = getHost();
    const [least, less, usual] = [
      write('least', 8091, { mtu: 1300 }),
      write('less', 8092, { mtu: 1400 }),
      write('usual', 8093, {}),
    ];
    const expectSettled = async (...specs: readonly (typeof least)[]): Promise<void> => {
      for (const { name } of specs) expect(await drift(host, name)).toEqual([]);
      for (const { file } of specs) expect(await pending(host, file)).toEqual([]);
      for (const { file } of specs)
        expect(await succeed(host, 'apply', '--json', file)).not.toContain('"event":"step"');
    };
    await succeed(host, 'apply', less.file, usual.file);
    await expectSettled(less, usual);
    await succeed(host, 'apply', least.file);
    await expectSettled(least, less, usual);
    await succeed(host, 'down', least.name);
    await expectSettled(less, usual);
    expect(await host.output(['ip', 'link', 'show', 'runspec0'])).toContain('mtu 1400 ');
    // From here on the kernel leaves it alone.
    await host.output(['ip', 'link', 'set', 'runspec0', 'mtu', '1200']);
    expect(await pending(host, usual.file)).toHaveLength(1);
    expect(await drift(host, usual.name)).toEqual(['bridge:runspec0 drifted']);
    await succeed(host, 'apply', usual.file);
    await expectSettled(less, usual);
    await succeed(host, 'apply', least.file);
    await expectSettled(least, less, usual);
    await succeed(host, 'down', less.name, least.name);
    await expectSettled(usual);
    await succeed(host, 'down', '--all');
  });

  it.each([
    ['first', 'second'],
    ['second', 'first'],
  ])('lets a published port go from the %s to the %s in one call', async (from, to) => {
    const host = getHost();
    const [giver, taker] = [write(from, 8085, {}), write(to, 8086, {})];
    const files = [giver.file, taker.file];
    await succeed(host, 'apply', ...files);
    const processes = await Promise.all([giver, taker].map(({ name }) => identify(host, name)));
    expect(await answer(8085)).toContain(from);
    write(from, 8087, {});
    write(to, 8085, {});
    await succeed(host, 'apply', ...files);
    expect(await answer(8085)).toContain(to);
    expect(await answer(8087)).toContain(from);
    expect(await Promise.all([giver, taker].map(({ name }) => identify(host, name)))).toEqual(processes);
    for (const file of files) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('lets a published port go to the container that its giver joins', async () => {
    const host = getHost();
    const taker = write('joined', 8086, {});
    const writeGiver = (port: number) =>
      writeSpec(host, 'joining', {
        process: { args: serve('joining', 'tcp:80'), stopTimeout: '0s' },
        network: { ports: [`${port}:80`] },
        namespaces: { ipc: `container:${taker.name}` },
      });
    const giver = writeGiver(8085);
    const files = [giver.file, taker.file];
    await succeed(host, 'apply', ...files);
    writeGiver(8086);
    write('joined', 8085, {});
    await succeed(host, 'apply', ...files);
    expect(await answer(8085)).toContain('joined');
    expect(await answer(8086)).toContain('joining');
    for (const file of files) expect(await pending(host, file)).toEqual([]);
    // The one that is joined cannot be made: what the other has given up for it comes back.
    writeGiver(8085);
    writeSpec(host, 'joined', {
      process: { args: ['/no/such/program'], stopTimeout: '0s' },
      network: { ports: ['8086:80'] },
    });
    const failed = await host.runspec('apply', ...files);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain(`${giver.name} is not applied: ${taker.name}`);
    expect(failed.stderr).not.toContain('not cleaned up');
    expect(await answer(8085)).toContain('joined');
    expect(await answer(8086)).toContain('joining');
    for (const { name } of [giver, taker]) expect(await drift(host, name)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('swaps the addresses of two containers in one call', async () => {
    const host = getHost();
    const addresses = (last: number) => ({
      address: `10.78.0.${last}`,
      address6: `fd00:78::${last}`,
      subnet: '10.78.0.0/24',
      subnet6: 'fd00:78::/64',
    });
    const [one, two] = [write('one', 8081, addresses(2)), write('two', 8082, addresses(3))];
    const files = [one.file, two.file];
    await succeed(host, 'apply', ...files);
    const processes = await Promise.all([one, two].map(({ name }) => identify(host, name)));
    const askAt = (address: string) => ask((argv) => host.exec(argv), { address, port: 80 });
    // From now on the bridge and the host know who has which.
    expect(await askAt('10.78.0.2')).toContain('one');
    expect(await askAt('10.78.0.3')).toContain('two');
    write('one', 8081, addresses(3));
    write('two', 8082, addresses(2));
    // Alone, neither of them gives up anything.
    expect((await host.runspec('plan', one.file)).stderr).toContain(
      `address 10.78.0.3 is taken by ${two.name}`,
    );
    await succeed(host, 'apply', ...files);
    // Packets for its former MAC address do not come to it any more.
    const link = hostEnd(one.name);
    const learned = await host.output(['bridge', 'fdb', 'show', 'dev', link]);
    expect(learned).not.toContain('02:42:0a:4e:00:02');
    expect(await askAt('10.78.0.2')).toContain('two');
    expect(await askAt('10.78.0.3')).toContain('one');
    expect(await answer(8081)).toContain('one');
    expect(await answer(8082)).toContain('two');
    expect(await Promise.all([one, two].map(({ name }) => identify(host, name)))).toEqual(processes);
    for (const file of files) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
  });
});
