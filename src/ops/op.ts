// The shape of every kind of step. An op reads and changes one kind of kernel or disk object through
// the Host it is given; it never reads the journal and never decides an order.
import type { Archives } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import type { KernelView } from '../host/kernel-view.ts';
import type { OpKind, StepOf } from '../plan/plan.ts';
import type { Phase } from '../plan/step-base.ts';

/** One property that is not as the step wants it. */
export interface Difference {
  readonly property: string;
  readonly wanted: string;
  readonly found: string;
}

export type Probe =
  /** `why`: a clause for people, when more is known than that nothing is there. */
  | { readonly state: 'absent'; readonly why?: string }
  /** The object is as wanted. */
  | { readonly state: 'present' }
  /**
   * The object is there, but different. `inPlace`: `update` can mend it without touching anything else. `heldBy`: id of
   * the step whose object alone keeps it; both go together. `leaves`: OCI types of the namespaces that the process is
   * in and must leave.
   */
  | {
      readonly state: 'drifted';
      readonly differences: readonly Difference[];
      readonly inPlace: boolean;
      readonly heldBy?: string;
      readonly leaves?: readonly string[];
    };

/** Facts that a step found before its first effect, kept in the journal for the way back. */
export type Before = Readonly<Record<string, string | number | boolean>>;

/**
 * Outcome of a revert. `reason`: why the object stays; `foreign`: it belongs to others, and nothing of ours is on it.
 */
export type Reverted =
  | { readonly outcome: 'removed' | 'gone' }
  | { readonly outcome: 'kept'; readonly reason: string; readonly foreign?: true };

export interface OpContext {
  readonly host: Host;
  /** Copies and unpacks bulk data, for making layers. */
  readonly archives: Archives;
  /** The kernel as read in this phase; an op that needs it fresh after a change reads it itself. */
  readonly view: KernelView;
  readonly stateDir: string;
  readonly dataDir: string;
  /** Container the step belongs to. */
  readonly container: string;
  /** Containers that the same call applies, this one among them. */
  readonly together?: readonly string[] | undefined;
  /** Fires when the user interrupts; long work stops early by throwing. */
  readonly signal: AbortSignal;
  /** Calls `listener` for each signal that comes from now on, until the function it gives is called. */
  readonly onSignal: (listener: (signal: NodeJS.Signals) => void) => () => void;
  /**
   * Resolves when the steps that this one awaits before a phase of its work are through.
   * @throws UnreachedError when one of them failed, or the user has interrupted.
   */
  reached(phase: Phase): Promise<void>;
  /** Shows people a line about long work, as in `unpacked 512 of 518 files`. */
  progress(text: string): void;
}

export interface RevertOptions {
  /** Set by down --volumes: what is kept otherwise goes too. */
  readonly volumes: boolean;
  /** Containers that are taken down by the same call: none of them keeps a volume for another. */
  readonly together?: readonly string[] | undefined;
}

/** What stands in for the root that a container is to have, while it has another one. */
export interface Trial {
  /** Where its layer of mount points is made, if it has another one; it goes afterwards. */
  readonly mountpoints: string;
  /** Its layers, lowest first; absent when it is the root that is mounted. */
  readonly layers?: readonly string[];
}

export interface Op<K extends OpKind> {
  /** Properties that only matter when the step is made or reverted: a change of one changes nothing now. */
  readonly passive?: readonly string[];
  /** A kill in `apply` may leave half of the object, which `probe` calls absent and which holds what the step needs. */
  readonly halvesUnseen?: true;
  /** Steps that need it outlive it: when it alone is lost and made again, they stay as they are. */
  readonly isOutlived?: true;
  /** Says in one line for people what the step is, naming the kernel object. */
  describe(step: StepOf<K>): string;
  /** Compares the object with the step. Reads only. */
  probe(context: OpContext, step: StepOf<K>): Promise<Probe>;
  /** What `apply` would throw, where that can be told while the former one is still in use. Changes nothing but the trial. */
  check?(context: OpContext, step: StepOf<K>, trial: Trial): Promise<void>;
  /** Facts worth keeping before the first effect (a former value, whether it existed). Reads only. */
  before?(context: OpContext, step: StepOf<K>): Promise<Before>;
  /**
   * Makes the object; it may be there in part after a crash, and is completed then. `before` is what was found first.
   */
  apply(context: OpContext, step: StepOf<K>, before: Before): Promise<void>;
  /** Changes the object in place from what `former` made (or drift left) to `step`. */
  update?(context: OpContext, step: StepOf<K>, former: StepOf<K>, before: Before): Promise<void>;
  /** Takes away what `rest` has not, of something that others go on using. What is gone already is no failure. */
  reduce?(context: OpContext, step: StepOf<K>, rest: StepOf<K>, before: Before): Promise<void>;
  /** Why `revert` would leave it, by what others have made of it. Reads only. */
  whyKept?(context: OpContext, step: StepOf<K>, before: Before): Promise<string | undefined>;
  /** Undoes it. Succeeds when it is gone already; touches only what runspec made. */
  revert(context: OpContext, step: StepOf<K>, before: Before, options: RevertOptions): Promise<Reverted>;
  /** Does what `apply` does, as a person would type it: commands of a POSIX shell, one a line, made with `quote`. */
  toShell(step: StepOf<K>): readonly string[];
}
