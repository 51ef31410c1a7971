// What stands before things of a container that is up, and is another's: status tells of it, and apply leaves it alone.
import { describe, expect, it } from 'vitest';
import { drift, identify, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type SpecKeys } from '../support/specs.ts';
import { ask } from '../support/talk.ts';

const NETWORK = { bridge: 'conv0', subnet: '10.70.0.0/24', address: '10.70.0.2', ports: ['8080:80'] };

const WEB: SpecKeys = { process: { args: serve('web', 'tcp:80'), stopTimeout: '5s' }, network: NETWORK };

describe.skipIf(!requireSystem())('a container that is up', () => {
  let name: string;
  let identity: string;
  const getHost = shareHost({
    start: async (host) => {
      const spec = writeSpec(host, 'web', WEB);
      name = spec.name;
      await succeed(host, 'apply', spec.file);
      identity = await identify(host, name);
    },
  });
  const apply = (keys: SpecKeys) => succeed(getHost(), 'apply', writeSpec(getHost(), 'web', keys).file);
  const answer = (port: number) => ask((argv) => getHost().exec(argv), { address: '127.0.0.1', port });

  it.each<readonly [string, string, string, RegExp, string]>([
    [
      'a rule of another table for its port',
      'nft add table ip first; nft "add chain ip first c { type nat hook prerouting priority -150; }"; nft add rule ip first c tcp dport { 90, 8080 } dnat to 192.0.2.1',
      'port:tcp/8080 shadowed',
      /shadowed: nft chain ip first c: tcp dport \{ 90, 8080 \} dnat to 192\.0\.2\.1/,
      'nft delete table ip first',
    ],
    [
      'a rule of iptables in a chain of its own',
      'iptables-nft -t nat -N MINE; iptables-nft -t nat -A PREROUTING -j MINE; iptables-nft -t nat -A MINE -p tcp --dport 8000:8100 -j REDIRECT --to-ports 1',
      'port:tcp/8080 shadowed',
      /shadowed: nft chain ip nat MINE: .*8000-8100/,
      'nft delete table ip nat',
    ],
    [
      'a more specific route',
      'ip route add 10.70.0.0/28 via 198.51.100.1',
      'address:eth0 shadowed',
      /shadowed: the host's route 10\.70\.0\.0\/28 leads 10\.70\.0\.2 by eth0/,
      'ip route delete 10.70.0.0/28',
    ],
    [
      'a rule that sends its packets to another table',
      'ip route add default via 198.51.100.1 table 100; ip rule add pref 100 lookup 100',
      'address:eth0 shadowed',
      /shadowed: the host's rules \(ip rule\) and the route default leads 10\.70\.0\.2 by eth0/,
      'ip rule delete pref 100; ip route flush table 100',
    ],
    [
      'a rule that forbids its address',
      'ip rule add pref 100 to 10.70.0.0/16 prohibit',
      'address:eth0 shadowed',
      /shadowed: the host's rules \(ip rule\) do not let 10\.70\.0\.2 be reached/,
      'ip rule delete pref 100',
    ],
    [
      'a mount over its root',
      'mount -t tmpfs -o mode=1777 shadow "$RUNSPEC_STATE_DIR/$name/rootfs"',
      'overlay:rootfs shadowed',
      /shadowed: tmpfs of shadow mounted over it/,
      '[ "$(stat -c %a "$RUNSPEC_STATE_DIR/$name/rootfs")" = 1777 ]; umount "$RUNSPEC_STATE_DIR/$name/rootfs"',
    ],
  ])('tells what shadows it: %s', async (_, command, step, said, undo) => {
    const host = getHost();
    const shell = (script: string) => host.output(['sh', '-ec', `name=$1; ${script}`, 'sh', name]);
    await shell(command);
    expect(await drift(host, name)).toEqual([step]);
    const { stdout, status } = await host.runspec('status', name);
    expect(stdout).toMatch(said);
    expect(status).toBe(3);
    // It is another's: apply leaves it, and the container, alone; of a route in its subnet it complains.
    const applied = await host.runspec('apply', writeSpec(host, 'web', WEB).file);
    expect(applied.status).toBe(command.startsWith('ip route add 10.70.') ? 2 : 0);
    expect(await identify(host, name)).toBe(identity);
    expect(await drift(host, name)).toEqual([step]);
    await shell(undo);
    expect(await drift(host, name)).toEqual([]);
  });

  it('is told of a host address that went away, and mended all the same', async () => {
    const host = getHost();
    const ports = [...NETWORK.ports, '198.51.100.77:8099:8080'];
    await host.output(['ip', 'address', 'add', '198.51.100.77/24', 'dev', 'eth0']);
    const { file } = writeSpec(host, 'web', { ...WEB, network: { ...NETWORK, ports } });
    await succeed(host, 'apply', file);
    await host.output(['ip', 'address', 'delete', '198.51.100.77/24', 'dev', 'eth0']);
    expect(await drift(host, name)).toEqual([expect.stringMatching(/^port:\S*8099 shadowed$/)]);
    await host.output(['nft', 'delete', 'element', 'inet', 'runspec', 'ports', '{ tcp . 8080 }']);
    const { status, stderr } = await host.runspec('apply', file);
    expect(stderr).toContain('warning: 198.51.100.77 is not an address of this host');
    expect(status).toBe(0);
    expect(await answer(8080)).toMatch(/^web /);
    await apply(WEB);
    expect(await identify(host, name)).toBe(identity);
    expect(await drift(host, name)).toEqual([]);
  });

  it('is not shadowed by rules for other ports, or that come later', async () => {
    const host = getHost();
    const rules = [
      'nft add table ip other; nft "add chain ip other c { type nat hook prerouting priority -150; }"',
      'nft add rule ip other c tcp dport 8081 dnat to 192.0.2.1; nft add rule ip other c udp dport 8080 dnat to 192.0.2.1',
      'nft "add chain ip other late { type nat hook prerouting priority -50; }"; nft add rule ip other late tcp dport 8080 dnat to 192.0.2.1',
    ];
    await host.output(['sh', '-ec', rules.join('; ')]);
    expect(await drift(host, name)).toEqual([]);
    await host.output(['nft', 'delete', 'table', 'ip', 'other']);
  });
});
