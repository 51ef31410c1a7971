// StepBase: the fields that every kind of step has, which are its id and its edges to other steps.

/**
 * A step's edges, each of them to another step X by its id:
 *
 * | edge     | it is made                                          | X replaced         | it is taken back |
 * |----------|-----------------------------------------------------|--------------------|------------------|
 * | `needs`  | when X is through                                   | this is too        | before X         |
 * | `after`  | when X is through                                   | this stays         | before X         |
 * | `with`   | when X has begun, in one change with it             | as `needs` says it | before X         |
 * | `awaits` | beside X, waiting for it before a phase of its work | as `needs` says it | before X         |
 *
 * A port's element needs the nft table and goes with it, in one transaction of nft. The process needs its overlay and
 * awaits it before `create`; it awaits its network before `start`.
 */
export interface StepBase {
  /** Readable and stable: `mount:rootfs`, `veth:eth0`, `port:tcp/8080`. */
  readonly id: string;
  /** Steps that this one cannot outlive. */
  readonly needs: readonly string[];
  /** Steps that only have to come first. */
  readonly after: readonly string[];
  /** Steps in `needs` whose change this one may share. */
  readonly with?: readonly string[];
  /** Steps, in the lists above or not, that this one waits for in the middle of its work. */
  readonly awaits?: Awaits;
  /** Used by several containers under the same id; goes with its last user. */
  readonly shared?: true;
}

/** Phases of the process step, as in an OCI runtime: created when its root is whole, started when its network is. */
export const PHASES = ['create', 'start'] as const;
export type Phase = (typeof PHASES)[number];
export type Awaits = Readonly<Record<Phase, readonly string[]>>;

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
