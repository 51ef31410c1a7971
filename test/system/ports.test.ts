// Published ports: who reaches them, from where and under which address, and what is refused.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, inside, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask, startServer, type Question, type Run } from '../support/talk.ts';
import type { TestHost } from '../support/test-host.ts';

/** A server that was just started listens within this. */
const SOON = { timeout: 15_000 };

const WEB = '10.60.0.2';
const FAR = '10.61.0.2';

/** A server of tcp port 80 and udp port 53 on a bridge. */
function writeServer(host: TestHost, base: string, network: SpecKeys): PlacedSpec {
  return writeSpec(host, base, { process: { args: serve(base, 'tcp:80', 'udp:53') }, network });
}

describe.skipIf(!requireSystem())('published ports', () => {
  let web: PlacedSpec;
  let sibling: PlacedSpec;
  let far: PlacedSpec;
  const getHost = shareHost({
    start: async (host) => {
      const near = { bridge: 'near0', subnet: '10.60.0.0/24' };
      const ports = ['8080:80', '5353:53/udp', '127.0.0.1:9090:80', '127.0.0.1:5454:53/udp'];
      web = writeServer(host, 'web', { ...near, address: WEB, ports });
      sibling = writeServer(host, 'sibling', {
        ...near,
        address: '10.60.0.3',
        ports: [`${host.address}:8181:80`],
      });
      far = writeServer(host, 'far', { bridge: 'far0', subnet: '10.61.0.0/24', address: FAR });
      await succeed(host, 'apply', web.file, sibling.file, far.file);
    },
  });
  const onHost: Run = (argv) => getHost().exec(argv);
  const onRemote: Run = (argv) => getHost().remote.exec(argv);
  const quietly = (run: Run, question: Question) => ask(run, { seconds: 1, ...question });

  it('reach the container over tcp from the host: by 127.0.0.1, another loopback address and its own', async () => {
    const { address } = getHost();
    await expect
      .poll(() => ask(onHost, { address: '127.0.0.1', port: 8080 }), SOON)
      .toBe('web 10.60.0.1 hello');
    expect(await ask(onHost, { address: '127.1.2.3', port: 8080 })).toBe('web 10.60.0.1 hello');
    expect(await ask(onHost, { address, port: 8080 })).toMatch(/^web \S+ hello$/);
  });

  it('reach it from another host, whose address the container sees', async () => {
    const { address, remote } = getHost();
    expect(await ask(onRemote, { address, port: 8080 })).toBe(`web ${remote.address} hello`);
  });

  it('carry udp both ways', async () => {
    const { address, remote } = getHost();
    const udp = { protocol: 'udp', port: 5353 } as const;
    expect(await ask(onHost, { ...udp, address: '127.0.0.1' })).toBe('web 10.60.0.1 hello');
    expect(await ask(onHost, { ...udp, address })).toMatch(/^web \S+ hello$/);
    expect(await ask(onRemote, { ...udp, address })).toBe(`web ${remote.address} hello`);
  });

  it('on 127.0.0.1 serve this host', async () => {
    expect(await ask(onHost, { address: '127.0.0.1', port: 9090 })).toBe('web 10.60.0.1 hello');
    expect(await ask(onHost, { protocol: 'udp', address: '127.0.0.1', port: 5454 })).toBe(
      'web 10.60.0.1 hello',
    );
    expect(await quietly(onHost, { address: getHost().address, port: 9090 })).toBeUndefined();
  });

  it('on 127.0.0.1 do not serve another host, by whatever route it comes', async () => {
    const { address, remote } = getHost();
    // A host on the same wire can send us packets for any address.
    await remote.output(['ip', 'route', 'add', '10.60.0.0/24', 'via', address]);
    await remote.output(['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet']);
    await remote.output(['ip', 'route', 'delete', 'local', '127.0.0.0/8', 'dev', 'lo', 'table', 'local']);
    await remote.output(['ip', 'route', 'delete', 'local', '127.0.0.1', 'dev', 'lo', 'table', 'local']);
    await remote.output(['ip', 'route', 'add', '127.0.0.1/32', 'via', address, 'src', remote.address]);
    const tried: readonly Question[] = [
      { address, port: 9090 },
      { address, port: 5454, protocol: 'udp' },
      { address: '127.0.0.1', port: 9090 },
      { address: '127.0.0.1', port: 8080 },
      { address: '127.0.0.1', port: 5454, protocol: 'udp' },
      { address: WEB, port: 80 },
      { address: WEB, port: 53, protocol: 'udp' },
      { address: WEB, port: 9090 },
      { address: '10.60.0.1', port: 9090 },
    ];
    const answers = await Promise.all(tried.map((question) => quietly(onRemote, question)));
    expect(answers).toEqual(tried.map(() => undefined));
    // The answer to such a packet would be lost on its way; what counts is whether it arrives.
    const stray = { protocol: 'udp', address: '127.0.0.1', text: 'stray' } as const;
    await Promise.all([5353, 5454].map((port) => quietly(onRemote, { ...stray, port })));
    await ask(onRemote, { protocol: 'udp', address, port: 5353, text: 'honest' });
    const logs = await succeed(getHost(), 'logs', web.name);
    expect(logs).toContain(`datagram of ${remote.address}: honest`);
    expect(logs).not.toContain('stray');
    // What is published for all still is.
    expect(await ask(onRemote, { address: '10.60.0.1', port: 8080 })).toBe(`web ${remote.address} hello`);
  });

  it('on one address of the host serve whoever asks for that one', async () => {
    const { address, remote } = getHost();
    expect(await ask(onRemote, { address, port: 8181 })).toBe(`sibling ${remote.address} hello`);
    expect(await quietly(onHost, { address: '127.0.0.1', port: 8181 })).toBeUndefined();
  });

  it('serve the container itself, a sibling, and a container of another bridge, by the host’s address', async () => {
    const { address } = getHost();
    for (const { name } of [web, sibling, far]) {
      const run = inside(getHost(), name);
      expect([name, await ask(run, { address, port: 8080 })]).toEqual([name, expect.stringMatching(/^web /)]);
      expect(await ask(run, { protocol: 'udp', address, port: 5353 })).toMatch(/^web /);
    }
  });

  it('leave the loopback of a container its own', async () => {
    const run = inside(getHost(), sibling.name);
    expect(await ask(run, { address: '127.0.0.1', port: 80 })).toBe('sibling 127.0.0.1 hello');
    expect(await quietly(run, { address: '127.0.0.1', port: 8080 })).toBeUndefined();
  });

  it('are not needed on one bridge, and nothing else passes between two', async () => {
    expect(await ask(inside(getHost(), sibling.name), { address: WEB, port: 80 })).toBe(
      'web 10.60.0.3 hello',
    );
    const answers = await Promise.all([
      quietly(inside(getHost(), far.name), { address: WEB, port: 80 }),
      quietly(inside(getHost(), web.name), { address: FAR, port: 80 }),
      quietly(inside(getHost(), web.name), { address: FAR, port: 53, protocol: 'udp' }),
    ]);
    expect(answers).toEqual([undefined, undefined, undefined]);
    expect(await ask(onHost, { address: FAR, port: 80 })).toBe('far 10.61.0.1 hello');
  });

  it('let answers through, with the host’s address beyond it', async () => {
    const host = getHost();
    const stop = await startServer(host.remote, 'beyond', 'tcp:7000', 'udp:7000');
    const question = { address: host.remote.beyond, port: 7000 };
    expect(await ask(inside(host, web.name), question)).toBe(`beyond ${host.address} hello`);
    // A server on all addresses answers a datagram from its nearest one.
    const datagram = { address: host.remote.address, port: 7000, protocol: 'udp' } as const;
    expect(await ask(inside(host, web.name), datagram)).toBe(`beyond ${host.address} hello`);
    await stop();
  });

  it('are listed with the container', async () => {
    const { address, ports } = await find(getHost(), web.name);
    expect({ address, ports }).toEqual({
      address: WEB,
      ports: [
        '0.0.0.0:8080->80/tcp',
        '0.0.0.0:5353->53/udp',
        '127.0.0.1:9090->80/tcp',
        '127.0.0.1:5454->53/udp',
      ],
    });
  });

  it.each([
    ['of all addresses', '8080:80'],
    ['of one address', '127.0.0.1:8080:80'],
    ['of one address, asked for on all', '9090:80'],
    ['over udp', '5353:53/udp'],
  ])('that another container has are refused with its name: %s', async (_, port) => {
    const host = getHost();
    const spec = writeServer(host, 'late', { bridge: 'near0', subnet: '10.60.0.0/24', ports: [port] });
    const before = await host.snapshot();
    const { status, stderr } = await host.runspec('apply', spec.file);
    expect(status).toBe(2);
    expect(stderr).toMatch(new RegExp(`late\\.json:\\d+:\\d+: .*published by container ${web.name}`));
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('that a container of another data folder has are refused with both names', async () => {
    const host = getHost();
    const folder = (name: string): string => path.join(host.folder, 'specs', `foreign-${name}`);
    const abroad = ['--state-dir', folder('state'), '--data-dir', folder('data')];
    const spec = writeServer(host, 'late', { bridge: 'late0', subnet: '10.62.0.0/24', ports: ['8080:80'] });
    const { status, stderr } = await host.runspec(...abroad, 'apply', spec.file);
    expect(status).toBe(2);
    expect(stderr).toContain(`published by container ${web.name} of ${host.dataDir}`);
    expect(stderr).toContain('choose another host port, or: take it down with the --data-dir');
  });

  it('may be the same number for another protocol or another address', async () => {
    const host = getHost();
    const ports = ['8080:80/udp', '127.0.0.2:9090:80'];
    const spec = writeServer(host, 'beside', { bridge: 'near0', subnet: '10.60.0.0/24', ports });
    await succeed(host, 'apply', spec.file);
    await expect.poll(() => ask(onHost, { address: '127.0.0.2', port: 9090 }), SOON).toMatch(/^beside /);
    expect(await ask(onHost, { address: '127.0.0.1', port: 9090 })).toMatch(/^web /);
    await succeed(host, 'down', spec.name);
    expect(await ask(onHost, { address: '127.0.0.1', port: 9090 })).toMatch(/^web /);
  });

  it.each(['tcp', 'udp'])('that a process listens on are refused with its name: %s', async (protocol) => {
    const host = getHost();
    const stop = await startServer(host, 'taken', `${protocol}:7777`);
    const spec = writeServer(host, 'late', {
      bridge: 'near0',
      subnet: '10.60.0.0/24',
      ports: [`7777:80/${protocol}`],
    });
    const { status, stderr } = await host.runspec('apply', spec.file);
    expect(status).toBe(2);
    expect(stderr).toMatch(/port 7777\/\w+ is in use: perl \(pid \d+\) listens on 0\.0\.0\.0:7777/);
    await stop();
    await succeed(host, 'apply', spec.file);
    await succeed(host, 'down', spec.name);
  });

  it('go to their next container when the first is down', async () => {
    const host = getHost();
    await succeed(host, 'down', web.name);
    expect(await quietly(onHost, { address: '127.0.0.1', port: 8080 })).toBeUndefined();
    const next = writeServer(host, 'next', { bridge: 'near0', subnet: '10.60.0.0/24', ports: ['8080:80'] });
    await succeed(host, 'apply', next.file);
    await expect.poll(() => ask(onHost, { address: '127.0.0.1', port: 8080 }), SOON).toMatch(/^next /);
    expect(await ask(onRemote, { address: host.address, port: 8080 })).toMatch(/^next /);
  });
});
