import { describe, expect, it } from 'vitest';
import type { KernelView } from '../../src/host/kernel-view.ts';
import { createLooks } from '../../src/run/looks.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate } from '../support/fake/gate.ts';
import { createFakeMachine } from '../support/fake/machine.ts';

const host = createFakeHost(createFakeMachine(), createGate());

/** Looks that note their view and last until they are let go. */
function createTrial() {
  const looks = createLooks(host);
  const views: KernelView[] = [];
  const holds: (() => void)[] = [];
  return {
    views,
    look: () =>
      looks(async (view) => {
        views.push(view);
        await new Promise<void>((resolve) => void holds.push(resolve));
      }),
    letGo: () => holds.splice(0).forEach((resolve) => resolve()),
  };
}

const turns = async (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('looks', () => {
  it('lends those that come together one view', async () => {
    const { look, views, letGo } = createTrial();
    const running = [look(), look(), look()];
    await turns();
    expect(new Set(views).size).toBe(1);
    expect(views).toHaveLength(3);
    letGo();
    await Promise.all(running);
  });

  it('makes who comes during a look wait for a view that is newer', async () => {
    const { look, views, letGo } = createTrial();
    const first = look();
    await turns();
    const later = [look(), look()];
    await turns();
    expect(views).toHaveLength(1);
    letGo();
    await first;
    await turns();
    expect(views).toHaveLength(3);
    expect(views[1]).not.toBe(views[0]);
    expect(views[2]).toBe(views[1]);
    letGo();
    await Promise.all(later);
  });

  it('goes on after a look that failed, and tells only who looked', async () => {
    const looks = createLooks(host);
    const failing = looks(() => Promise.reject(new Error('nft is gone')));
    await expect(failing).rejects.toThrow('nft is gone');
    let hasLooked = false;
    await looks(() => {
      hasLooked = true;
      return Promise.resolve();
    });
    expect(hasLooked).toBe(true);
  });
});
