// Many runspecs at once: each must do its work or say that another one is at work (status 4), with no address given
// twice and nothing left.
import type { PlacedSpec } from '../support/specs.ts';
import { writeSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign, Ledger } from './campaign.ts';
import { findResidue, mustSucceed, shorten, withScene } from './scene.ts';

const BUSY = 4;

export const PARALLEL_APPLY: Campaign = {
  name: 'parallel-apply',
  title: 'as many `apply` of as many specs at once, without fixed addresses, then as many `down`',
  rounds: 40,
  run: (setting) => {
    const { random, rounds } = setting;
    const { ledger } = setting;
    return withScene(warmUp, async (scene) => {
      const { host } = scene;
      const specs = Array.from({ length: rounds }, (_, index) =>
        writeSpec(host, `many-${index}`, { network: {} }),
      );
      const applied = await Promise.all(
        specs.map((spec) => insist(host, ledger, 'apply', spec.file, spec.name)),
      );
      const failures = [...applied.flat(), ...(await areUp(host, specs))];
      ledger.enterAll(rounds, 'apply', { failures, residue: [] });
      const order = random.shuffle(specs);
      const taken = await Promise.all(
        order.map((spec) => insist(host, ledger, 'down', spec.name, spec.name)),
      );
      ledger.enterAll(rounds, 'down', { failures: taken.flat(), residue: await findResidue(scene) });
    });
  },
};

export const RACES: Campaign = {
  name: 'races',
  title: '`apply` and `down` of one spec by racing processes, with `ps`, `status` and `plan` between them',
  rounds: 80,
  run: (setting) => {
    const { random, rounds } = setting;
    const { ledger } = setting;
    return withScene(warmUp, async (scene) => {
      const { host } = scene;
      const spec = writeSpec(host, 'one', { network: { ports: ['8080:80'] }, resources: { pids: 50 } });
      const racers = Array.from({ length: rounds }, async (_, number) => {
        const verb = random.pick(['apply', 'apply', 'down', 'down', 'ps', 'status', 'plan']);
        ledger.enter(`${number} ${verb}`, { failures: await race(host, ledger, verb, spec), residue: [] });
      });
      await Promise.all(racers);
      const failures = [...(await mustSucceed(host, 'apply', spec.file)), ...(await areUp(host, [spec]))];
      failures.push(...(await mustSucceed(host, 'down', spec.name)));
      ledger.enter('at the end', { failures, residue: await findResidue(scene) });
    });
  },
};

/** Layers are in the store before the race: unpacking is no part of it. */
async function warmUp(host: TestHost): Promise<void> {
  const spec = writeSpec(host, 'warm', {});
  const failures = [
    ...(await mustSucceed(host, 'apply', spec.file)),
    ...(await mustSucceed(host, 'down', spec.name)),
  ];
  if (failures.length > 0) throw new Error(failures.join('\n'));
}

/** Tries again for as long as the answer is "busy". */
async function insist(
  host: TestHost,
  ledger: Ledger,
  verb: 'apply' | 'down',
  what: string,
  name: string,
): Promise<readonly string[]> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const { status, stderr } = await host.runspec(verb, what);
    if (status === 0) return [];
    if (status !== BUSY) return [`${verb} ${name} ended with ${status}: ${shorten(stderr)}`];
    ledger.count('busy');
  }
  return [`${verb} ${name} was busy 20 times`];
}

async function race(
  host: TestHost,
  ledger: Ledger,
  verb: string,
  { file, name }: PlacedSpec,
): Promise<readonly string[]> {
  const allowed: Readonly<Record<string, readonly number[]>> = {
    // One that is not up any more, or is on its way, has no clean status.
    status: [0, 1, 2, 3],
  };
  const args = { apply: [file], down: [name], ps: ['--json'], status: [name], plan: [file] }[verb] ?? [];
  const { status, stdout, stderr } = await host.runspec(verb, ...args);
  if (status === BUSY) ledger.count('busy');
  const known = allowed[verb] ?? [0, BUSY];
  if (status !== undefined && known.includes(status)) return [];
  return [`${verb} ended with ${status}: ${shorten(stderr || stdout)}`];
}

/** All run, each with an address of its own, and nothing of them is to be mended. */
export async function areUp(host: TestHost, specs: readonly PlacedSpec[]): Promise<readonly string[]> {
  const { stdout } = await host.runspec('ps', '--json');
  const rows = JSON.parse(stdout) as readonly { name: string; state: string; address: string | null }[];
  const failures = specs.flatMap(({ name }) => {
    const state = rows.find((row) => row.name === name)?.state ?? 'unknown';
    return state === 'running' ? [] : [`${name} is ${state}`];
  });
  const addresses = rows.flatMap((row) => (row.address === null ? [] : [row.address]));
  const twice = addresses.filter((address, index) => addresses.indexOf(address) !== index);
  failures.push(...twice.map((address) => `address ${address} was given twice`));
  const planned = await host.runspec('plan', '--exit-code', ...specs.map((spec) => spec.file));
  if (planned.status !== 0) {
    const lines = planned.stdout.split('\n');
    const marked = lines.filter(
      (line, index) => /^\s*[-+~±]/.test(line) || /^\s*[-+~±]/.test(lines[index - 1] ?? ''),
    );
    failures.push(`plan ended with ${planned.status}: ${marked.join(' | ') || shorten(planned.stderr)}`);
  }
  return failures;
}
