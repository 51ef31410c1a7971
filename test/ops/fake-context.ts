// An op's context on a fake machine that never breaks.
import type { Archives } from '../../src/host/archives.ts';
import { createKernelView } from '../../src/host/kernel-view.ts';
import { opOf } from '../../src/ops/index.ts';
import type { Before, OpContext, Probe, Reverted } from '../../src/ops/op.ts';
import type { OpKind, StepOf } from '../../src/plan/plan.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate } from '../support/fake/gate.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { stepOf, type TestedKind } from './steps.ts';

export interface FakeOps {
  readonly machine: FakeMachine;
  context(): OpContext;
  /** Changes so far: each is one that a second apply must not make. */
  changes(): readonly string[];
  probe<K extends OpKind>(step: StepOf<K>): Promise<Probe>;
  /** As the executor does it: looks first, and keeps what was there. */
  apply<K extends OpKind>(step: StepOf<K>, before?: Before): Promise<Before>;
  update<K extends OpKind>(step: StepOf<K>, former?: StepOf<K>, before?: Before): Promise<void>;
  revert<K extends OpKind>(step: StepOf<K>, before?: Before, volumes?: boolean): Promise<Reverted>;
  /** `ip` on the machine, as an admin would. */
  ip(netns: string, command: string): void;
  /** Of a link of the host. */
  addresses(link: string): Promise<readonly string[] | undefined>;
}

export function createFakeOps(): FakeOps {
  const machine = createFakeMachine();
  const gate = createGate();
  const host = createFakeHost(machine, gate);
  const context = (): OpContext => ({
    host,
    archives: {} as Archives,
    view: createKernelView(host),
    stateDir: '/run/runspec',
    dataDir: '/var/lib/runspec',
    container: 'web',
    signal: new AbortController().signal,
    onSignal: () => () => undefined,
    reached: async () => undefined,
    progress: () => undefined,
  });
  return {
    machine,
    context,
    changes: () => gate.changes,
    probe: (step) => opOf(step).probe(context(), step),
    async apply(step, known) {
      const before = known ?? (await opOf(step).before?.(context(), step)) ?? {};
      await opOf(step).apply(context(), step, before);
      return before;
    },
    async update(step, former = step, before = {}) {
      const op = opOf(step);
      if (op.update === undefined) throw new Error(`${step.op} cannot be updated`);
      await op.update(context(), step, former, before);
    },
    revert: (step, before = {}, volumes = false) => opOf(step).revert(context(), step, before, { volumes }),
    addresses: async (link) => (await context().view.link(link))?.addresses.map((one) => one.address),
    ip: (netns, command) => void machine.network.run(netns, command.split(' ')),
  };
}

/** With what these kinds of steps make, in this order. */
export async function up(...kinds: readonly TestedKind[]): Promise<FakeOps> {
  const ops = createFakeOps();
  for (const kind of kinds) await ops.apply(stepOf(kind));
  return ops;
}

/** A probe that found these differences, each a property with what was wanted and found. */
export function drift(...differences: readonly (readonly [string, string, string])[]): object {
  return {
    state: 'drifted',
    inPlace: true,
    differences: differences.map(([property, wanted, found]) => ({ property, wanted, found })),
  };
}
