// Views for the second looks of a call (second-look.ts), shared between containers that look at one time.
import type { Host } from '../host/host.ts';
import { createKernelView, type KernelView } from '../host/kernel-view.ts';

/**
 * Lends a look a view of what is in the kernel after the call. Looks that come while others are under way wait for
 * those to end and then share one view: twenty containers of a call list the table a few times, not twenty.
 */
export type Looks = (look: (view: KernelView) => Promise<void>) => Promise<void>;

export function createLooks(host: Host): Looks {
  let underWay: Promise<unknown> = Promise.resolve();
  let next: { readonly view: Promise<KernelView>; readonly looks: Promise<void>[] } | undefined;
  const gather = (): NonNullable<typeof next> => {
    const looks: Promise<void>[] = [];
    const view = underWay.then(() => {
      next = undefined;
      underWay = Promise.allSettled(looks);
      return createKernelView(host);
    });
    return { view, looks };
  };
  return (look) => {
    next ??= gather();
    const looking = next.view.then(look);
    next.looks.push(looking);
    return looking;
  };
}
