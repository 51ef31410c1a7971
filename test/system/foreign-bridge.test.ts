// A bridge that somebody else has made, without ports: a container on it changes nothing of it that would last.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { drift, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask } from '../support/talk.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

describe.skipIf(!requireSystem())('a foreign bridge without ports', () => {
  const getHost = shareHost();
  const write = (base: string, network: SpecKeys = {}): PlacedSpec =>
    writeSpec(getHost(), base, {
      process: { args: serve(base, 'tcp:80'), stopTimeout: '0s' },
      network: { bridge: 'brf', ports: ['8080:80'], ...network },
    });
  const output = (...argv: readonly string[]): Promise<string> => getHost().output(argv);
  const mac = (): Promise<string> => output('cat', '/sys/class/net/brf/address');
  /** What of it lasts: its MAC address and its addresses. That it has once had a port it does not hide (NO-CARRIER). */
  const look = async (): Promise<string> =>
    (await mac()) + (await output('ip', '-oneline', 'address', 'show', 'dev', 'brf'));
  const make = async (): Promise<string> => {
    for (const line of ['link add brf type bridge', 'address add 10.88.0.1/24 dev brf', 'link set brf up'])
      await output('ip', ...line.split(' '));
    const settled = 'ip -6 address show dev brf scope link | grep inet6 | grep -qv tentative';
    await output(
      'timeout',
      '30',
      'sh',
      '-c',
      `[ ! -e /proc/net/if_inet6 ] || until ${settled}; do sleep 0.05; done`,
    );
    return look();
  };
  const answer = () => ask((argv) => getHost().exec(argv), { address: '127.0.0.1', port: 8080 });

  it('keeps its MAC address while containers come and go', async () => {
    const before = await make();
    const { file, name } = write('one');
    expect((await getHost().runspec('plan', file)).stdout).toMatch(/~ bridge:brf .*\n? *.*mac: /);
    await succeed(getHost(), 'apply', file);
    expect(await look()).toBe(before);
    expect(await answer()).toContain('one');
    expect(await pending(getHost(), file)).toEqual([]);
    await succeed(getHost(), 'down', name);
    expect(await look()).toBe(before);
    await output('ip', 'link', 'delete', 'brf');
  });

  it('has a route that it lost told of, which its owner has to mend', async () => {
    await make();
    const { file, name } = write('routed');
    await succeed(getHost(), 'apply', file);
    await output('ip', 'route', 'delete', '10.88.0.0/24', 'dev', 'brf');
    expect(await drift(getHost(), name)).toEqual(['address:eth0 shadowed']);
    expect((await getHost().runspec('status', name)).stdout).toMatch(
      /shadowed: the host has no route to 10\.88\.0\.\d+\/24 by brf any more/,
    );
    await output('ip', 'route', 'add', '10.88.0.0/24', 'dev', 'brf', 'src', '10.88.0.1');
    expect(await drift(getHost(), name)).toEqual([]);
    await succeed(getHost(), 'down', name);
    await output('ip', 'link', 'delete', 'brf');
  });

  it.each([
    ['it has a port of ours', 'ls /sys/class/net/brf/brif/rs*'],
    ['its MAC address is set', 'grep 3 /sys/class/net/brf/addr_assign_type'],
  ])('is as before when apply is killed as soon as %s', async (_, seen) => {
    const before = await make();
    const { file, name } = write('killed');
    const script = `"$@" & until ${seen}; do sleep 0.005; done; kill -KILL $! || true; wait`;
    await output('timeout', '30', 'bash', '-c', script, 'bash', process.execPath, CLI, 'apply', file);
    await getHost().runspec('down', name);
    expect(await look()).toBe(before);
    await output('ip', 'link', 'delete', 'brf');
  });

  it('gets no other gateway or subnet than it has, before and after a container is on it', async () => {
    await make();
    const { file, name } = write('asking');
    const asked: readonly (readonly [SpecKeys, RegExp])[] = [
      [{ gateway: '10.88.0.254' }, /the gateway of brf is 10\.88\.0\.1, not 10\.88\.0\.254/],
      [{ subnet: '10.51.0.0/16' }, /brf already carries 10\.88\.0\.0\/24, not 10\.51\.0\.0\/16/],
      [{ subnet: '10.88.0.0/16' }, /brf already carries 10\.88\.0\.0\/24, not 10\.88\.0\.0\/16/],
    ];
    const refused = async (): Promise<void> => {
      const before = await look();
      for (const [network, message] of asked) {
        write('asking', network);
        const { status, stderr } = await getHost().runspec('apply', file);
        expect(stderr).toMatch(message);
        expect(status).toBe(2);
        expect(await look()).toBe(before);
      }
      write('asking');
    };
    await refused();
    await succeed(getHost(), 'apply', file);
    await refused();
    expect(await pending(getHost(), file)).toEqual([]);
    await succeed(getHost(), 'down', name);
    await output('ip', 'link', 'delete', 'brf');
  });

  it('without an address of its own gets another of ours in place', async () => {
    for (const line of ['link add brf type bridge', 'link set brf up'])
      await output('ip', ...line.split(' '));
    const { file, name } = write('lent', { subnet: '10.51.0.0/24', subnet6: 'fd00:51::/64' });
    await succeed(getHost(), 'apply', file);
    write('lent', { subnet: '10.52.0.0/24', subnet6: 'fd00:52::/64' });
    await succeed(getHost(), 'apply', file);
    const lent = (await look()).match(/(?<=inet6? )(?!fe80)\S+/g);
    expect(lent).toEqual(['10.52.0.1/24', 'fd00:52::1/64']);
    expect(await answer()).toContain('lent');
    expect(await pending(getHost(), file)).toEqual([]);
    await succeed(getHost(), 'down', name);
    expect((await look()).match(/(?<=inet6? )(?!fe80)\S+/g)).toBeNull();
    await output('ip', 'link', 'delete', 'brf');
  });

  it('keeps what its owner gives it meanwhile', async () => {
    await make();
    const { file, name } = write('meanwhile');
    await succeed(getHost(), 'apply', file);
    await output('ip', 'link', 'set', 'brf', 'address', '02:00:00:00:00:88');
    await output('ip', 'address', 'add', '10.88.0.7/24', 'dev', 'brf');
    expect(await answer()).toContain('meanwhile');
    await succeed(getHost(), 'down', name);
    expect(await mac()).toBe('02:00:00:00:00:88\n');
    expect(await look()).toContain('10.88.0.7/24');
    await output('ip', 'link', 'delete', 'brf');
  });

  it('that its owner has made anew keeps the MAC address of the new one', async () => {
    await make();
    const { file, name } = write('again');
    await succeed(getHost(), 'apply', file);
    await output('ip', 'link', 'delete', 'brf');
    const before = await make();
    await succeed(getHost(), 'apply', file);
    expect(await answer()).toContain('again');
    await succeed(getHost(), 'down', name);
    expect(await look()).toBe(before);
    await output('ip', 'link', 'delete', 'brf');
  });
});
