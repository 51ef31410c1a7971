// Sysctls: drift, and what is not ours.
import { describe, expect, it } from 'vitest';
import type { SysctlStep } from '../../src/plan/plan.ts';
import { createFakeOps, type FakeOps } from './fake-context.ts';
import { STEPS } from './steps.ts';

describe('a sysctl', () => {
  it('that was as wanted before stays', async () => {
    const ops = createFakeOps();
    ops.machine.files.write('/proc/sys/net/ipv4/ip_forward', '1');
    const before = await ops.apply(STEPS.sysctl);
    expect(await ops.revert(STEPS.sysctl, before)).toEqual({ outcome: 'gone' });
    expect(ops.machine.files.read('/proc/sys/net/ipv4/ip_forward')).toBe('1\n');
  });

  it('that somebody set to another value since stays at it', async () => {
    const ops = createFakeOps();
    const before = await ops.apply(STEPS.sysctl);
    ops.machine.files.write('/proc/sys/net/ipv4/ip_forward', '2');
    expect(await ops.revert(STEPS.sysctl, before)).toEqual({
      outcome: 'kept',
      reason: 'someone set it to 2 since',
    });
  });

  const makeBridge = (ops: FakeOps, name: string, address: string): void => {
    const lines = [
      `link add ${name} type bridge`,
      `addr add ${address} dev ${name}`,
      `link set dev ${name} up`,
    ];
    for (const line of lines) ops.ip('', line);
  };
  const FORWARDING6 = {
    ...STEPS.sysctl,
    id: 'sysctl:net.ipv6.conf.all.forwarding',
    key: 'net.ipv6.conf.all.forwarding',
  } as const;

  it.each<readonly [string, SysctlStep, (ops: FakeOps) => void]>([
    ['bridge lan0', STEPS.sysctl, (ops) => makeBridge(ops, 'lan0', '10.5.0.1/24')],
    ['table incus', STEPS.sysctl, (ops) => ops.machine.firewall.load('add table inet incus\n')],
    ['bridge lan0', FORWARDING6, (ops) => makeBridge(ops, 'lan0', 'fd00:5::1/64')],
  ])('by which the host forwards stays for the %s that came since', async (who, step, come) => {
    const ops = createFakeOps();
    const before = await ops.apply(step);
    come(ops);
    const since = ops.machine.dump();
    expect(await ops.revert(step, before)).toEqual({
      outcome: 'kept',
      reason: `${who} came since and may need it; else: sysctl -w ${step.key}=0`,
      foreign: true,
    });
    expect(ops.machine.dump()).toEqual(since);
  });

  it.each<readonly [string, (ops: FakeOps) => void, (ops: FakeOps) => void]>([
    ['who was there before', (ops) => makeBridge(ops, 'lan0', '10.5.0.1/24'), () => undefined],
    ['a bridge that has no address', () => undefined, (ops) => makeBridge(ops, 'lan0', 'fd00:5::1/64')],
    [
      'a bridge by which the host itself goes out',
      () => undefined,
      (ops) => {
        makeBridge(ops, 'lan0', '10.5.0.1/24');
        const route = ['lan0', '00000000', '0105000A', '0003', '0', '0', '0', '00000000'].join('\t');
        ops.machine.files.makeDirectory('/proc/net');
        ops.machine.files.put('/proc/net/route', `Iface\tDestination\n${route}`);
      },
    ],
  ])('by which the host forwards does not stay for %s', async (_, was, come) => {
    const ops = createFakeOps();
    was(ops);
    const before = await ops.apply(STEPS.sysctl);
    come(ops);
    expect(await ops.revert(STEPS.sysctl, before)).toEqual({ outcome: 'removed' });
    expect(ops.machine.files.read('/proc/sys/net/ipv4/ip_forward')).toBe('0\n');
  });

  it('gives back what the kernel changed along with it', async () => {
    const ops = createFakeOps();
    const redirects = '/proc/sys/net/ipv4/conf/all/accept_redirects';
    ops.machine.files.write('/proc/sys/net/ipv4/conf/default/forwarding', '1');
    ops.machine.files.write(redirects, '0');
    const clean = ops.machine.dump();
    const before = await ops.apply(STEPS.sysctl);
    expect(await ops.revert(STEPS.sysctl, before)).toEqual({ outcome: 'removed' });
    expect(ops.machine.dump()).toEqual(clean);
  });
});
