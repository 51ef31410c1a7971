// Where a fake machine can break: every change passes here, and the nth one fails or is the last.
export type Breakage =
  /** The nth change fails once, without effect; what follows works. */
  | { readonly at: number; readonly how: 'fail' }
  /** SIGKILL in the nth change: at most half of it happens, and no call ever answers again. */
  | { readonly at: number; readonly how: 'die' }
  /** From the nth change on nothing is written below that folder any more. */
  | { readonly at: number; readonly how: 'read-only'; readonly folder: string };

export interface Gate {
  /** Changes so far. */
  readonly count: number;
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
  const changes: string[] = [];
  let die = (): void => undefined;
  const died = new Promise<void>((resolve) => (die = resolve));
  const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
  return {
    get count() {
      return changes.length;
    },
    get isDead() {
      return dead;
    },
    changes,
    died,
    async pass(name, effect, half) {
      // Real calls take turns; a change in the same tick would hide races.
      await Promise.resolve();
      if (dead) return never();
      changes.push(name);
      if (breakage?.how === 'read-only') {
        if (changes.length < breakage.at || !name.includes(breakage.folder)) return effect();
        throw Object.assign(new Error(`EROFS: fake read-only disk, ${name}`), { code: 'EROFS' });
      }
      if (breakage?.at !== changes.length) return effect();
      if (breakage.how === 'fail')
        throw Object.assign(new Error(`EIO: fake failure, ${name}`), { code: 'EIO' });
      half?.();
      dead = true;
      die();
      return never();
    },
    async read(look) {
      await Promise.resolve();
      return dead ? never() : look();
    },
  };
}
