// Sysctls of a container's network namespace, which outlives the process: what a spec drops, or an apply that fails has set,
// does not stay in force.
import { describe, expect, it } from 'vitest';
import { inside, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec } from '../support/specs.ts';

const BACKLOG = 'net.core.somaxconn';
const PORTS = 'net.ipv4.ip_unprivileged_port_start';
const TTL = 'net.ipv4.ip_default_ttl';

describe.skipIf(!requireSystem())('sysctls of a container', () => {
  const getHost = shareHost();
  const write = (sysctls: Readonly<Record<string, string>>, bridge: string) =>
    writeSpec(getHost(), 'tuned', {
      process: { args: WAIT, stopTimeout: '0s' },
      network: { bridge },
      ...(Object.keys(sysctls).length === 0 ? {} : { sysctls }),
    });
  const read = async (name: string): Promise<readonly string[]> => {
    const files = [BACKLOG, PORTS, TTL].map((key) => `/proc/sys/${key.replaceAll('.', '/')}`);
    return (await inside(getHost(), name)(['cat', ...files])).stdout.trim().split('\n');
  };

  it('that are dropped from its spec are as in a new one', async () => {
    const host = getHost();
    const { file, name } = write({}, 'tuned0');
    await succeed(host, 'apply', file);
    const fresh = await read(name);
    write({ [BACKLOG]: '1000', [PORTS]: '80' }, 'tuned0');
    await succeed(host, 'apply', file);
    expect(await read(name)).toEqual(['1000', '80', fresh[2]]);
    write({ [PORTS]: '80', [TTL]: '32' }, 'tuned0');
    await succeed(host, 'apply', file);
    expect(await read(name)).toEqual([fresh[0], '80', '32']);
    write({}, 'tuned0');
    expect((await host.runspec('plan', file)).stdout).toMatch(
      /^ +~ netns:\S+ .*\n +changed in the spec: sysctls$/m,
    );
    await succeed(host, 'apply', file);
    expect(await read(name)).toEqual(fresh);
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', name);
  });

  it('that are dropped are so for those who share its network too', async () => {
    const host = getHost();
    const { file, name } = write({ [BACKLOG]: '1000', 'net.ipv4.conf.eth0.rp_filter': '2' }, 'tuned2');
    const beside = writeSpec(host, 'beside', {
      process: { args: WAIT, stopTimeout: '0s' },
      namespaces: { network: `container:${name}` },
    });
    await succeed(host, 'apply', file, beside.file);
    write({ [TTL]: '32' }, 'tuned2');
    await succeed(host, 'apply', file, beside.file);
    const filter = [
      'cat',
      '/proc/sys/net/ipv4/conf/eth0/rp_filter',
      '/proc/sys/net/ipv4/conf/default/rp_filter',
    ];
    for (const one of [name, beside.name]) {
      expect((await read(one))[2]).toBe('32');
      expect((await read(one))[0]).not.toBe('1000');
      const [own, fresh] = (await inside(host, one)(filter)).stdout.trim().split('\n');
      expect(own).toBe(fresh);
    }
    expect(await pending(host, file)).toEqual([]);
    expect(await pending(host, beside.file)).toEqual([]);
    await succeed(host, 'down', name, beside.name);
  });

  it('that an apply has set are gone when it fails', async () => {
    const host = getHost();
    const { file, name } = write({}, 'tuned1');
    await succeed(host, 'apply', file);
    const fresh = await read(name);
    write({ [BACKLOG]: '55', [TTL]: 'none' }, 'tuned1');
    expect((await host.runspec('apply', file)).status).toBe(1);
    expect(await read(name)).toEqual(fresh);
    write({}, 'tuned1');
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', name);
  });
});
