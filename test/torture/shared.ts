// Containers on one bridge, put up and taken down in any order, several at a time, with runspecs killed between: bridge,
// table and ip_forward are there for as long as somebody uses them, and are as before afterwards.
import { writeSpec, type PlacedSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign, Ledger } from './campaign.ts';
import { required } from './kill.ts';
import { areUp } from './parallel.ts';
import type { Random } from './random.ts';
import { findResidue, mustSucceed, playRounds, type Scene } from './scene.ts';
import { strike } from './strike.ts';

const FOREIGN = 'foreign0';
const FORWARD = '/proc/sys/net/ipv4/ip_forward';

export const SHARED: readonly Campaign[] = [sharing(2, 10), sharing(8, 3), sharing(20, 2)];

function sharing(containers: number, rounds: number): Campaign {
  return {
    name: `shared-${containers}`,
    title: `${containers} containers on one bridge, ours or another's, come and go in any order with \`kill -9\` between`,
    rounds,
    run: async (setting) => {
      const { ledger } = setting;
      await playRounds(setting, ledger, prepare, async (scene) => {
        const bridge = setting.random.pick(['shared0', FOREIGN]);
        const forward = setting.random.pick(['0', '1']);
        const label = `${bridge} with ip_forward ${forward}`;
        return { label, outcome: await play(scene, setting.random, ledger, { containers, bridge, forward }) };
      });
    },
  };
}

/** A bridge that somebody else has made, with settings of its own. */
async function prepare(host: TestHost): Promise<void> {
  const script = `
    ip link add $1 address 02:00:00:00:00:07 type bridge forward_delay 0
    ip address add 10.74.0.1/24 dev $1
    ip link set $1 mtu 1400 up
    # With a port of its own it is as it will be with ours: it has a carrier, and with that a link-local address.
    ip link add port0 mtu 1400 type veth peer name port1
    ip link set port0 master $1 up
    ip link set port1 up
    until grep -q up /sys/class/net/$1/operstate; do sleep 0.05; done
    until [ ! -e /proc/sys/net/ipv6/conf/$1 ] || ip -6 address show scope link | grep -c fe80 | grep -q 4; do sleep 0.05; done
    echo 1 >/proc/sys/net/ipv4/conf/$1/proxy_arp
    echo 2 >/proc/sys/net/ipv4/conf/$1/rp_filter`;
  await host.output(['sh', '-euc', script, 'sh', FOREIGN]);
  const spec = writeSpec(host, 'warm', {});
  await required(mustSucceed(host, 'apply', spec.file));
  await required(mustSucceed(host, 'down', spec.name));
}

interface Case {
  readonly containers: number;
  readonly bridge: string;
  readonly forward: string;
}

async function play(
  scene: Scene,
  random: Random,
  ledger: Ledger,
  { containers, bridge, forward }: Case,
): Promise<{ readonly failures: readonly string[]; readonly residue: readonly string[] }> {
  const { host } = scene;
  await host.output(['sh', '-c', `echo ${forward} >${FORWARD}`]);
  const specs = Array.from({ length: containers }, (_, index) =>
    writeSpec(host, `user-${index}`, { network: { bridge, ports: [`${9000 + index}:80`] } }),
  );
  const failures = [...(await mustSucceed(host, 'apply', ...specs.map((spec) => spec.file)))];
  // Only what was neither taken down nor killed is known to be up.
  const up = new Set(specs);
  for (const wave of waves(random.shuffle(specs), random)) {
    for (const spec of wave) up.delete(spec);
    failures.push(...(await Promise.all(wave.map((spec) => disturb(host, random, ledger, spec)))).flat());
    failures.push(...(await judge(host, [...up], bridge)));
  }
  // Who was killed is put up again or taken down; either must work.
  failures.push(...(await mustSucceed(host, 'apply', ...specs.map((spec) => spec.file))));
  failures.push(...(await areUp(host, specs)));
  const order = random.shuffle(specs);
  for (const [index, spec] of order.entries()) {
    // The last few each on its own: the very last one has to notice that it is.
    const rest = order.slice(index);
    if (rest.length > 4) continue;
    if (rest.length === 4)
      failures.push(
        ...(
          await Promise.all(order.slice(0, index).map((one) => mustSucceed(host, 'down', one.name)))
        ).flat(),
      );
    failures.push(...(await judge(host, rest, bridge)), ...(await mustSucceed(host, 'down', spec.name)));
  }
  const found = await host.output(['cat', FORWARD]);
  if (found.trim() !== forward) failures.push(`ip_forward is ${found.trim()}, it was ${forward}`);
  await host.output(['sh', '-c', `echo 0 >${FORWARD}`]);
  return { failures, residue: await findResidue(scene) };
}

function waves(specs: readonly PlacedSpec[], random: Random): readonly (readonly PlacedSpec[])[] {
  const size = 1 + random.below(Math.min(4, specs.length));
  return specs.length === 0 ? [] : [specs.slice(0, size), ...waves(specs.slice(size), random)];
}

/** Takes one down, or applies it once more; half of the time it is killed in the middle. */
async function disturb(
  host: TestHost,
  random: Random,
  ledger: Ledger,
  spec: PlacedSpec,
): Promise<readonly string[]> {
  const args = random.oneIn(3) ? ['apply', spec.file] : ['down', spec.name];
  if (random.oneIn(2)) return mustSucceed(host, ...args);
  const victims = random.pick(['tool', 'tree'] as const);
  const { killed } = await strike(host, () => host.startRunspec(...args), { random, victims, within: 900 });
  if (killed !== undefined) ledger.count('kills');
  return [];
}

async function judge(host: TestHost, up: readonly PlacedSpec[], bridge: string): Promise<readonly string[]> {
  if (up.length === 0) return [];
  const failures: string[] = [];
  const links = await host.output(['ip', '-brief', 'link']);
  if (!new RegExp(`^${bridge} `, 'm').test(links)) failures.push(`${bridge} is gone, with users left`);
  const tables = await host.output(['nft', 'list', 'tables']);
  if (!tables.includes('inet runspec')) failures.push('the table is gone, with users left');
  if ((await host.output(['cat', FORWARD])).trim() !== '1')
    failures.push('ip_forward is off, with users left');
  return [...failures, ...(await areUp(host, up))];
}
