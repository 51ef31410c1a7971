// The plan says why: each kind of change of a spec has its reason, down to the process where that must start anew.
import { describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type SpecKeys } from '../support/specs.ts';

const NETWORK = { bridge: 'reason0', ports: ['8080:80'] };
const PROCESS = { args: serve('web', 'tcp:80'), stopTimeout: '5s' };
const WEB: SpecKeys = {
  process: PROCESS,
  resources: { memory: '64M' },
  network: NETWORK,
  dns: { servers: ['4.2.2.4'] },
};

describe.skipIf(!requireSystem())('a plan', () => {
  const getHost = shareHost({
    start: (host) => succeed(host, 'apply', writeSpec(host, 'web', WEB).file),
  });

  it.each<readonly [string, SpecKeys, RegExp, boolean]>([
    [
      'args',
      { process: { ...PROCESS, args: serve('other', 'tcp:80') } },
      /changed in the spec: process\.args/,
      true,
    ],
    ['env', { process: { ...PROCESS, env: { A: 'b' } } }, /changed in the spec: process\.env/, true],
    [
      'capabilities',
      { process: { ...PROCESS, capabilities: { drop: ['ALL'] } } },
      /process\.capabilities/,
      true,
    ],
    ['hostname', { hostname: 'other' }, /changed in the spec: .*hostname/, true],
    [
      'mounts',
      { mounts: [{ type: 'tmpfs', destination: '/tmp' }] },
      /is made anew \(changed in the spec: /,
      true,
    ],
    ['layers', { layers: [{ files: { '/etc/motd': 'hello' } }] }, /layer:\w+ is new/, true],
    [
      'layers, with what was written over them',
      { layers: [{ files: { '/etc/motd': 'hello' } }] },
      /± dir:upper .*\n +changed in the spec: layers; what the container has written goes\n/,
      true,
    ],
    [
      'where it writes',
      { writable: 'persistent' },
      /± dir:upper .*\n +dir:writables is new; what the container has written goes\n/,
      true,
    ],
    ['memory', { resources: { memory: '32M' } }, /memory\S*: \d+ -> 33554432/, false],
    ['no limit any more', { resources: {} }, /~ cgroup:.*\n +changed in the spec: memory\.\S+/, false],
    [
      'ports',
      { network: { ...NETWORK, ports: ['9090:80'] } },
      /- port:tcp\/8080 .*\n +no longer in the spec/,
      false,
    ],
    [
      'the interface',
      { network: { ...NETWORK, interface: 'net0' } },
      /- veth:eth0 .*\n +no longer in the spec\n(?:.*\n)* {2}\+ veth:net0 /,
      false,
    ],
    ['name servers', { dns: { servers: ['9.9.9.9'] } }, /~ file:\/etc\/resolv\.conf .*\n +content: /, false],
    [
      'the time to stop',
      { process: { ...PROCESS, stopTimeout: '7s' } },
      /~ process .*\n +changed in the spec: stopTimeout\n/,
      false,
    ],
  ])('has the reason of each change: %s', async (_, keys, reason, isRestarted) => {
    const { file } = writeSpec(getHost(), 'web', { ...WEB, ...keys });
    const { stdout } = await getHost().runspec('plan', file);
    expect(stdout).toMatch(reason);
    const process = /± process .*\n +(.*)/.exec(stdout)?.[1];
    expect(process === undefined).toBe(!isRestarted);
    expect(process ?? 'is made anew (changed in the spec').toMatch(
      /is new$|is made anew \(changed in the spec/,
    );
  });
});
