// What every kind of step has: its name in the plan, and its place in the order.

export interface StepBase {
  /** Readable and stable: `mount:rootfs`, `veth:eth0`, `port:tcp/8080`. */
  readonly id: string;
  /** Ids of steps this one cannot outlive: when one of them is replaced, so is this step. */
  readonly needs: readonly string[];
  /** Ids of steps that only have to come first. */
  readonly after: readonly string[];
  /** Ids of steps it needs whose change it may share: it begins as soon as they have begun. */
  readonly with?: readonly string[];
  /** Ids of steps, of those above and others, that it begins beside: it waits for them in the middle of its work. */
  readonly awaits?: Awaits;
  /** Used by several containers under the same id; goes with its last user. */
  readonly shared?: true;
}

/** What the runtime does after them: the process is created when its root is whole, started when its network is. */
export type Awaits = Readonly<Record<Phase, readonly string[]>>;

export type Phase = 'create' | 'start';

/** Ids of all steps that are through before this one is; taken back in the opposite order. */
export function predecessors({ needs, after, awaits }: Omit<StepBase, 'id'>): readonly string[] {
  return [...needs, ...after, ...(awaits?.create ?? []), ...(awaits?.start ?? [])];
}

/** Ids of the steps that are through before this one begins. */
export function forerunners(step: Omit<StepBase, 'id'>): readonly string[] {
  const { create = [], start = [] } = step.awaits ?? {};
  const beside = new Set([...create, ...start, ...(step.with ?? [])]);
  return [...step.needs, ...step.after].filter((id) => !beside.has(id));
}
