// Who holds a cgroup still, on plain files that look like the kernel's.
import { expect, it } from 'vitest';
import type { MountState } from '../../src/host/kernel-view.ts';
import { findFrozen, findHolding, thaw, whileFrozen } from '../../src/runtime/freeze.ts';
import { host, makeTree } from './scratch-root.ts';

const cases = [
  {
    version: 'v2',
    mount: { type: 'cgroup2', superOptions: 'rw' },
    file: 'cgroup.freeze',
    frozen: '1',
    thawed: '0',
    others: { 'cgroup.events': 'populated 1\nfrozen 1\n' },
  },
  {
    version: 'v1',
    mount: { type: 'cgroup', superOptions: 'rw,freezer' },
    file: 'freezer.state',
    frozen: 'FROZEN',
    thawed: 'THAWED',
    others: { 'freezer.self_freezing': '1\n' },
  },
];

it.each(cases)('whoever holds a cgroup of $version still, but for a commit at work', async (one) => {
  const { mount, file, frozen, thawed, others } = one;
  const root = makeTree({ 'web/cgroup.procs': `${process.pid}\n` });
  const path = `${root}/web/${file}`;
  for (const [name, text] of Object.entries(others)) await host.writeAtomic(`${root}/web/${name}`, text);
  await host.writeAtomic(path, frozen);
  const mounts = [{ ...mount, target: root }] as unknown as readonly MountState[];
  const find = (): ReturnType<typeof findFrozen> => findFrozen(host, mounts, '/web');
  expect(await find()).toEqual([{ file: path, frozen, thawed }]);
  expect(await whileFrozen(host, mounts, '/web', find)).toEqual([]);
  expect(await host.readText(path)).toBe(thawed);
  await host.writeInPlace(path, frozen);
  await thaw(host, await find());
  expect(await host.readText(path)).toBe(thawed);
});

it.each(cases)('a cgroup of $version held still by itself, or by one around it', async (one) => {
  const { mount, file, frozen, thawed, others } = one;
  const root = makeTree({ 'above/web/cgroup.procs': '' });
  const mounts = [{ ...mount, target: root }] as unknown as readonly MountState[];
  for (const held of ['above', 'above/web']) {
    const folder = `${root}/${held}`;
    expect(await findHolding(host, mounts, '/above/web')).toEqual([]);
    for (const [name, text] of Object.entries({ ...others, [file]: frozen }))
      await host.writeAtomic(`${folder}/${name}`, text);
    const found = [{ file: `${folder}/${file}`, frozen, thawed }];
    expect(await findHolding(host, mounts, '/above/web')).toEqual(found);
    for (const name of [...Object.keys(others), file]) await host.removeFile(`${folder}/${name}`);
  }
});
