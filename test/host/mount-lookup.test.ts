// Which mount a path ends in, with mounts on mounts and over folders on the way.
import { describe, expect, it } from 'vitest';
import type { MountState } from '../../src/host/kernel-view.ts';
import { lookUpMount, topMount } from '../../src/host/mount-lookup.ts';

const mount = (id: number, parent: number, target: string): MountState => ({
  id,
  parent,
  target,
  device: `0:${id}`,
  root: '/',
  type: 'tmpfs',
  source: 'tmpfs',
  options: 'rw',
  superOptions: 'rw',
  isPrivate: true,
});

const TABLE = [
  mount(30, 1, '/'),
  mount(31, 30, '/run'),
  mount(32, 31, '/run/netns'),
  mount(33, 31, '/run/runspec'),
  mount(34, 33, '/run/runspec/web/rootfs'),
];

describe('a path in the mount table', () => {
  it.each([
    ['/', 30],
    ['/etc/hosts', 30],
    ['/running', 30],
    ['/run/netns', 32],
    ['/run/netns/web', 32],
    ['/run/runspec/web/rootfs/etc', 34],
    ['/run/runspec/web', 33],
  ])('%s ends in the mount nearest above it', (path, id) => {
    expect(lookUpMount(TABLE, path)?.id).toBe(id);
  });

  it('ends in what is mounted on a mount', () => {
    const stacked = [
      ...TABLE,
      mount(40, 34, '/run/runspec/web/rootfs'),
      mount(41, 40, '/run/runspec/web/rootfs'),
    ];
    expect(topMount(stacked, '/run/runspec/web/rootfs')?.id).toBe(41);
  });

  it('does not see what a mount over a folder on the way hides', () => {
    const covered = [...TABLE, mount(50, 31, '/run')];
    expect(lookUpMount(covered, '/run/netns/web')?.id).toBe(50);
    expect(topMount(covered, '/run/netns')).toBeUndefined();
    expect(topMount([...covered, mount(51, 50, '/run/netns')], '/run/netns')?.id).toBe(51);
  });

  it('is no mount point where nothing is mounted', () => {
    expect(topMount(TABLE, '/run/runspec/web')).toBeUndefined();
    expect(topMount([], '/run')).toBeUndefined();
  });
});
