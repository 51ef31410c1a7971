// What every kind of step has: its name in the plan, and its place in the order.

export interface StepBase {
  /** Readable and stable: `mount:rootfs`, `veth:eth0`, `port:tcp/8080`. */
  readonly id: string;
  /** Ids of steps this one cannot outlive: when one of them is replaced, so is this step. */
  readonly needs: readonly string[];
  /** Ids of steps that only have to come first. */
  readonly after: readonly string[];
  /** Ids of steps that it is made beside, and completed after: it waits for them in the middle of its work. */
  readonly awaits?: readonly string[];
  /** Used by several containers under the same id; goes with its last user. */
  readonly shared?: true;
}

/** Ids of all steps that are through before this one is; taken back in the opposite order. */
export function predecessors({ needs, after, awaits = [] }: Omit<StepBase, 'id'>): readonly string[] {
  return [...needs, ...after, ...awaits];
}
