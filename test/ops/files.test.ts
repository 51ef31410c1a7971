// Folders, files and mounts: drift, and what is not ours.
import { describe, expect, it } from 'vitest';
import type { DirectoryStep } from '../../src/plan/plan.ts';
import { createFakeOps } from './fake-context.ts';
import { STEPS } from './steps.ts';

describe('a folder', () => {
  const step = (removal: DirectoryStep['removal']): DirectoryStep => ({ ...STEPS.directory, removal });

  it('with another mode is mended in place', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.directory);
    ops.machine.files.setMode('/run/one', 0o777);
    expect(await ops.probe(STEPS.directory)).toEqual({
      state: 'drifted',
      inPlace: true,
      differences: [{ property: 'mode', wanted: '711', found: '777' }],
    });
    await ops.update(STEPS.directory);
    expect(await ops.probe(STEPS.directory)).toMatchObject({ state: 'present' });
  });

  it('on which something is mounted is not told by the mode of that', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.directory);
    ops.machine.files.setMode('/run/one', 0o777);
    ops.machine.mounts.add({ target: '/run/one', type: 'tmpfs', source: 'mine' });
    expect(await ops.probe(STEPS.directory)).toEqual({ state: 'present' });
  });

  it('of a volume keeps the mode that its user gave it', async () => {
    const ops = createFakeOps();
    await ops.apply(step('volume'));
    ops.machine.files.setMode('/run/one', 0o777);
    expect(await ops.probe(step('volume'))).toMatchObject({ state: 'present' });
  });

  it('in whose place a file is cannot be mended in place', async () => {
    const ops = createFakeOps();
    ops.machine.files.put('/run/one', '');
    expect(await ops.probe(STEPS.directory)).toMatchObject({ state: 'drifted', inPlace: false });
  });

  it.each([
    ['empty', 'kept'],
    ['tree', 'removed'],
    ['volume', 'kept'],
  ] as const)('of the kind %s with something in it is %s', async (removal, outcome) => {
    const ops = createFakeOps();
    const before = await ops.apply(step(removal));
    ops.machine.files.put('/run/one/file', 'x');
    expect(await ops.revert(step(removal), before)).toMatchObject({ outcome });
    expect(ops.machine.files.find('/run/one/file') === undefined).toBe(outcome === 'removed');
  });

  it('of a volume goes when volumes are to go', async () => {
    const ops = createFakeOps();
    await ops.apply(step('volume'));
    ops.machine.files.put('/run/one/file', 'x');
    expect(await ops.revert(step('volume'), {}, true)).toEqual({ outcome: 'removed' });
  });

  it('that was there before stays', async () => {
    const ops = createFakeOps();
    ops.machine.files.makeDirectory('/run/one');
    const before = await ops.apply(step('empty'));
    expect(await ops.revert(step('empty'), before)).toMatchObject({
      outcome: 'kept',
      reason: 'it was there before',
    });
  });
});

describe('a file', () => {
  it('with another mode is drift, mended through the same inode', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.file);
    const inode = ops.machine.files.find('/run/hosts')?.inode;
    ops.machine.files.setMode('/run/hosts', 0o600);
    expect(await ops.probe(STEPS.file)).toEqual({
      state: 'drifted',
      inPlace: true,
      differences: [{ property: 'mode', wanted: '644', found: '600' }],
    });
    await ops.update(STEPS.file);
    expect(ops.machine.files.find('/run/hosts')).toMatchObject({ mode: 0o644, inode });
  });

  it('with another text is rewritten through the same inode, which a container may have mounted', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.file);
    const inode = ops.machine.files.find('/run/hosts')?.inode;
    const wanted = { ...STEPS.file, text: 'two\n' } as const;
    expect(await ops.probe(wanted)).toEqual({
      state: 'drifted',
      inPlace: true,
      differences: [{ property: 'content', wanted: 'two', found: 'one' }],
    });
    await ops.update(wanted, STEPS.file);
    expect(ops.machine.files.read('/run/hosts')).toBe('two\n');
    expect(ops.machine.files.find('/run/hosts')?.inode).toBe(inode);
  });

  it.each([
    ['another line', 'same\nnew\nend\n', 'same\nold\nend\n', 'new', 'old'],
    ['a line more', 'same\nnew\nend\n', 'same\nend\n', 'new', 'nothing'],
    ['a line less', 'same\n', 'same\nold\n', 'nothing', 'old'],
    ['a late line', `${'same\n'.repeat(50)}new\nmore\n`, `${'same\n'.repeat(50)}old\n`, 'new | more', 'old'],
    ['white space', 'same\n', 'same\n \n', '"same\\n"', '"same\\n \\n"'],
    ['its last line end', 'same\n', 'same', '"same\\n"', '"same"'],
    ['a long line', `${'same\n'.repeat(50)}${'x'.repeat(90)}\n`, 'same\n', 'same | same', 'nothing'],
  ])('differs by %s, and that is what is said', async (_, ours, theirs, wanted, found) => {
    const ops = createFakeOps();
    await ops.apply({ ...STEPS.file, text: theirs });
    const probe = await ops.probe({ ...STEPS.file, text: ours });
    expect(probe).toMatchObject({
      state: 'drifted',
      differences: [{ property: 'content', wanted: expect.stringContaining(wanted) as string, found }],
    });
  });

  it('in whose place a symlink is is never written through', async () => {
    const ops = createFakeOps();
    ops.machine.files.makeSymlink('/etc/shadow', '/run/hosts');
    expect(await ops.probe(STEPS.file)).toMatchObject({
      state: 'drifted',
      inPlace: false,
      differences: [{ property: 'type', wanted: 'file', found: 'symlink' }],
    });
  });
});

describe('an overlay', () => {
  it('of other layers is made anew', async () => {
    const ops = createFakeOps();
    for (const folder of ['/run/root']) ops.machine.files.makeDirectory(folder);
    await ops.apply(STEPS.overlay);
    const other = { ...STEPS.overlay, lower: ['/srv/other'], upper: '/run/elsewhere' } as const;
    expect(await ops.probe(other)).toEqual({
      state: 'drifted',
      inPlace: false,
      differences: [
        { property: 'lowerdir', wanted: '/srv/other', found: '/srv/c\\,d:/srv/a\\:b' },
        { property: 'upperdir', wanted: '/run/elsewhere', found: '/run/upper' },
      ],
    });
  });

  it('with more layers than the mount options hold is refused', async () => {
    const ops = createFakeOps();
    const lower = Array.from(
      { length: 60 },
      (_, index) => `/var/lib/runspec/images/layers/${'0'.repeat(50)}${index}`,
    );
    await expect(ops.apply({ ...STEPS.overlay, lower })).rejects.toThrow(
      '60 layers do not fit the mount options',
    );
  });

  it('that is busy says who holds it', async () => {
    const ops = createFakeOps();
    ops.machine.files.makeDirectory('/run/root');
    await ops.apply(STEPS.overlay);
    ops.machine.mounts.add({ target: '/run/root/mnt', type: 'tmpfs', source: 'tmpfs' });
    ops.machine.files.makeDirectory('/proc/77');
    ops.machine.files.put('/proc/77/comm', 'sh\n');
    ops.machine.files.makeSymlink('/run/root/tmp', '/proc/77/cwd');
    await expect(ops.revert(STEPS.overlay)).rejects.toMatchObject({
      message: 'cannot unmount /run/root: held by sh (pid 77, its working folder)',
      hint: 'end it, or let it leave, and take the container down again',
    });
  });
});

describe('the private mount', () => {
  const step = STEPS['private-mount'];

  it('that became shared is made private in place', async () => {
    const ops = createFakeOps();
    await ops.apply(step);
    ops.machine.mounts.setPropagation('/run/runspec', 'shared');
    expect(await ops.probe(step)).toMatchObject({ state: 'drifted', inPlace: true });
    await ops.update(step);
    expect(await ops.probe(step)).toMatchObject({ state: 'present' });
  });

  it('is not made below a folder that is not there', async () => {
    const apply = createFakeOps().apply({ ...step, path: '/run/no/state' });
    await expect(apply).rejects.toMatchObject({
      message: 'cannot make the state folder /run/no/state: no such file or directory',
      hint: expect.stringContaining('make the folder above it first, or choose another one') as string,
    });
  });

  it('stays while something is mounted below it', async () => {
    const ops = createFakeOps();
    const before = await ops.apply(step);
    ops.machine.mounts.add({ target: '/run/runspec/db/rootfs', type: 'overlay', source: 'overlay' });
    expect(await ops.revert(step, before)).toEqual({
      outcome: 'kept',
      reason: '/run/runspec/db/rootfs is still mounted below it',
    });
  });

  it('is not the one that somebody else mounted there', async () => {
    const ops = createFakeOps();
    ops.machine.files.makeDirectory('/run/runspec', { mode: 0o755 });
    ops.machine.mounts.add({ target: '/run/runspec', type: 'tmpfs', source: 'tmpfs' });
    const clean = ops.machine.dump();
    const before = await ops.apply(step);
    expect(await ops.probe(step)).toMatchObject({ state: 'present' });
    expect(await ops.revert(step, before)).toMatchObject({ outcome: 'kept' });
    expect(await ops.revert(step)).toMatchObject({ outcome: 'kept' });
    expect(ops.machine.dump()).toEqual(clean);
  });

  it('that lost its record is still known as ours', async () => {
    const ops = createFakeOps();
    await ops.apply(step);
    const before = await ops.apply(step);
    expect(before).toMatchObject({ mounted: false });
    expect(await ops.revert(step)).toEqual({ outcome: 'removed' });
  });
});
