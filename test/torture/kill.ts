// kill -9 at random moments of apply, of an update and of down; afterwards one plain command, `down` or `apply`, has to
// end in what was asked for, and after `down` the host has to be as it was.
import type { PlacedSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import type { Campaign, Outcome, Setting } from './campaign.ts';
import type { Random } from './random.ts';
import { findResidue, mustSucceed, playRounds, writeBoth } from './scene.ts';
import { strike, type Strike, type Victims } from './strike.ts';

type Operation = 'apply' | 'update' | 'down';

const killing = (operation: Operation, victims: Victims): Campaign => ({
  name: `kill-${operation}${victims === 'tool' ? '' : `-${victims}`}`,
  title: `\`kill -9\` of ${WHO[victims]} during ${operation === 'update' ? 'an update' : `\`${operation}\``}`,
  rounds: 20,
  run: (setting) => run(setting, operation, victims),
});

const WHO: Readonly<Record<Victims, string>> = {
  tool: 'runspec',
  tree: 'runspec and all it had started',
  child: 'a program that runspec had started (`nft`, `ip`, `runc`, `conmon`, …)',
};

export const KILLS: readonly Campaign[] = (['apply', 'update', 'down'] as const).flatMap((operation) =>
  (['tool', 'tree', 'child'] as const).map((victims) => killing(operation, victims)),
);

async function run(setting: Setting, operation: Operation, victims: Victims): Promise<void> {
  const { random } = setting;
  const { ledger } = setting;
  let durations: Readonly<Record<Operation, number>> = { apply: 500, update: 500, down: 500 };
  const prepare = async (host: TestHost): Promise<void> => {
    durations = await measure(host);
  };
  await playRounds(setting, ledger, prepare, async (scene) => {
    const { one, two } = writeBoth(scene.host, 'web');
    if (operation !== 'apply') await required(mustSucceed(scene.host, 'apply', one.file));
    const args = { apply: ['apply', one.file], update: ['apply', two.file], down: downOf(one) }[operation];
    const aim = { random, victims, within: durations[operation] };
    const struck = await strike(scene.host, () => scene.host.startRunspec(...args), aim);
    if (struck.killed === undefined) {
      await required(mustSucceed(scene.host, ...downOf(one)));
      return undefined;
    }
    const failures = [...judge(struck, victims)];
    const way = await recover(scene.host, random, one, two);
    failures.push(...way.failures, ...(await mustSucceed(scene.host, ...downOf(one))));
    const outcome: Outcome = { failures, residue: await findResidue(scene) };
    return { label: `killed ${struck.killed}, then ${way.label}`, outcome };
  });
}

const downOf = (spec: PlacedSpec): readonly string[] => ['down', '--volumes', spec.name];

/** How long each takes here and now; leaves the host clean and the layers in the store. */
async function measure(host: TestHost): Promise<Readonly<Record<Operation, number>>> {
  const { one, two } = writeBoth(host, 'web');
  const time = async (...args: readonly string[]): Promise<number> => {
    const started = performance.now();
    await required(mustSucceed(host, ...args));
    return performance.now() - started;
  };
  await time('apply', one.file);
  await time(...downOf(one));
  const apply = await time('apply', one.file);
  const update = await time('apply', two.file);
  return { apply, update, down: await time(...downOf(one)) };
}

export async function required(attempt: Promise<readonly string[]>): Promise<void> {
  const [failure] = await attempt;
  if (failure !== undefined) throw new Error(failure);
}

/** A tool that outlived its child says that it went wrong, or went on without harm. */
function judge(struck: Strike, victims: Victims): readonly string[] {
  if (victims !== 'child' || struck.status === 0 || struck.status === 1) return [];
  return [`it ended with ${struck.status} after its child was killed: ${struck.written.slice(-300)}`];
}

interface Recovery {
  readonly label: string;
  readonly failures: readonly string[];
}

/** By `down` or by an `apply` of either version; one in four of these is killed as well, and given again. */
export async function recover(
  host: TestHost,
  random: Random,
  one: PlacedSpec,
  two: PlacedSpec,
): Promise<Recovery> {
  const spec = random.pick([undefined, one, two]);
  const args = spec === undefined ? downOf(one) : ['apply', spec.file];
  const label = spec === undefined ? 'down' : `apply of version ${spec === one ? 1 : 2}`;
  let again = '';
  if (random.oneIn(4)) {
    const aim = { random, victims: 'tool', within: 400 } as const;
    const struck = await strike(host, () => host.startRunspec(...args), aim);
    if (struck.killed !== undefined) again = ` (killed ${struck.killed}, and again)`;
  }
  const failures = [...(await mustSucceed(host, ...args))];
  if (spec !== undefined) failures.push(...(await isUp(host, spec)));
  return { label: `${label}${again}`, failures };
}

/** Every step is as the plan says, and a process can be started in it. */
export async function isUp(host: TestHost, spec: PlacedSpec): Promise<readonly string[]> {
  const failures = [
    ...(await mustSucceed(host, 'status', spec.name)),
    ...(await mustSucceed(host, 'exec', spec.name, '--', '/usr/bin/env')),
  ];
  const { stdout } = await host.runspec('plan', '--exit-code', spec.file);
  return failures.length === 0
    ? []
    : [
        ...failures,
        stdout
          .split('\n')
          .filter((line) => /^\s*[-+~±]/.test(line))
          .join(' | '),
      ];
}
