// Where a fake machine can break: every change passes here, and the nth one fails or is the last.
export type Breakage =
  /** The nth change fails once, without effect; what follows works. */
  | { readonly at: number; readonly how: 'fail' }
  /** SIGKILL in the nth change: at most half of it happens, and no call ever answers again. */
  | { readonly at: number; readonly how: 'die' }
  /** From the nth change on nothing is written below that folder any more. */
  | { readonly at: number; readonly how: 'read-only'; readonly folder: string }
  /** Others do something before the nth call, be it a change or a read. */
  | { readonly at: number; readonly how: 'wait'; readonly meanwhile: () => Promise<void> };

export interface Gate {
  /** Changes so far. */
  readonly count: number;
  /** Changes and reads so far. */
  readonly calls: number;
  /** What each change was, in order: for messages of tests. */
  readonly changes: readonly string[];
  /** Resolves when the machine's process has been killed. */
  readonly died: Promise<void>;
  readonly isDead: boolean;
  /**
   * Carries out a change, or breaks. `half` is what a kill in the middle leaves behind; nothing by default.
   * @throws the system's EIO where the change is to fail.
   */
  pass<T>(name: string, effect: () => T, half?: () => void): Promise<T>;
  /** Reads: answered while alive. */
  read<T>(look: () => T): Promise<T>;
}

export function createGate(breakage?: Breakage): Gate {
  let dead = false;
  let calls = 0;
  /** What others do meanwhile holds up all that comes after. */
  let held: Promise<void> = Promise.resolve();
  const arrive = (): Promise<void> => {
    calls += 1;
    if (breakage?.how === 'wait' && breakage.at === calls) held = breakage.meanwhile();
    return held;
  };
  const changes: string[] = [];
  let die = (): void => undefined;
  const died = new Promise<void>((resolve) => (die = resolve));
  const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
  return {
    get count() {
      return changes.length;
    },
    get calls() {
      return calls;
    },
    get isDead() {
      return dead;
    },
    changes,
    died,
    async pass(name, effect, half) {
      // Real calls take turns; a change in the same tick would hide races.
      await arrive();
      if (dead) return never();
      changes.push(name);
      if (breakage?.how === 'read-only') {
        if (changes.length < breakage.at || !name.includes(breakage.folder)) return effect();
        throw Object.assign(new Error(`EROFS: fake read-only disk, ${name}`), { code: 'EROFS' });
      }
      if (breakage?.at !== changes.length || breakage.how === 'wait') return effect();
      if (breakage.how === 'fail')
        throw Object.assign(new Error(`EIO: fake failure, ${name}`), { code: 'EIO' });
      half?.();
      dead = true;
      die();
      return never();
    },
    async read(look) {
      await arrive();
      return dead ? never() : look();
    },
  };
}
