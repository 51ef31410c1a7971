// The mount table of a fake machine, and mount(8) and umount(8) for it.
interface Mount {
  readonly id: number;
  readonly target: string;
  readonly type: string;
  readonly source: string;
  readonly root: string;
  readonly options: string;
  propagation: 'private' | 'shared';
}

export interface FakeMounts {
  add(mount: Pick<Mount, 'target' | 'type' | 'source'> & Partial<Mount>): void;
  setPropagation(target: string, propagation: Mount['propagation']): void;
  /** What umount(8) complains about; undefined when it succeeded. */
  remove(target: string): string | undefined;
  /** Mount points at and below a path. */
  at(path: string): readonly string[];
  has(target: string): boolean;
  /** Whether what is mounted where `path` lies is passed on to other mount namespaces. */
  isShared(path: string): boolean;
  /** /proc/self/mountinfo. */
  table(): string;
  dump(): readonly string[];
  /** @returns what brings back all of it as it is now. */
  keep(): () => void;
}

export function createFakeMounts(): FakeMounts {
  const mounts: Mount[] = [];
  let ids = 20;
  const self: FakeMounts = {
    add(mount) {
      ids += 1;
      mounts.push({ id: ids, root: '/', options: 'rw', propagation: 'private', ...mount });
    },
    setPropagation(target, propagation) {
      const top = mounts.findLast((mount) => mount.target === target);
      if (top !== undefined) top.propagation = propagation;
    },
    remove(target) {
      const index = mounts.findLastIndex((mount) => mount.target === target);
      if (index < 0) return `umount: ${target}: not mounted.`;
      const onTop = mounts.slice(index + 1).some((mount) => mount.target.startsWith(`${target}/`));
      if (onTop) return `umount: ${target}: target is busy.`;
      mounts.splice(index, 1);
      return undefined;
    },
    at: (path) =>
      mounts.map(({ target }) => target).filter((target) => target === path || target.startsWith(`${path}/`)),
    has: (target) => mounts.some((mount) => mount.target === target),
    isShared: (path) => mounts.findLast(({ target }) => isWithin(path, target))?.propagation === 'shared',
    table: () =>
      mounts
        .map(({ id, root, target, options, propagation, type, source }, index) => {
          const tag = propagation === 'shared' ? ` shared:${id}` : '';
          const around = mounts.slice(0, index).findLast((other) => isWithin(target, other.target));
          const device = source === '/dev/root' ? '254:0' : `0:${id}`;
          return `${id} ${around?.id ?? 1} ${device} ${root} ${target} rw,relatime${tag} - ${type} ${source} ${options}\n`;
        })
        .join(''),
    dump: () => mounts.map(({ id: _id, ...mount }) => `mount ${JSON.stringify(mount)}`),
    keep() {
      const kept = structuredClone(mounts);
      return () => void mounts.splice(0, mounts.length, ...structuredClone(kept));
    },
  };
  self.add({ target: '/', type: 'ext4', source: '/dev/root', propagation: 'shared' });
  self.add({ target: '/proc', type: 'proc', source: 'proc' });
  return self;
}

function isWithin(path: string, target: string): boolean {
  return target === '/' || path === target || path.startsWith(`${target}/`);
}
