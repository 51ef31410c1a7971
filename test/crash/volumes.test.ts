// Volumes that nothing tells of: an apply was killed that had made them, and its record is gone.
import { expect, it } from 'vitest';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, dataDir, gc, runspec } from './one-runspec.ts';
import { planOf } from './plans.ts';

function withVolumes(files: Readonly<Record<string, string | undefined>>): FakeMachine {
  const machine = createFakeMachine();
  machine.files.makeDirectory(dataDir, { mode: 0o711 });
  machine.files.makeDirectory(`${dataDir}/volumes`, { mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    const path = `${dataDir}/volumes/${name}`;
    if (text === undefined) machine.files.makeDirectory(path, { mode: 0o755 });
    else machine.files.put(path, text);
  }
  return machine;
}

const volumes = (machine: FakeMachine): readonly string[] =>
  machine.dump().flatMap((line) => /^\S+\/volumes(?:\/\S+)?(?= )/.exec(line) ?? []);

it('go when they are empty, and their folder with the last', async () => {
  const clean = createFakeMachine().dump();
  const machine = withVolumes({ data: undefined, cache: undefined });
  expect((await runspec(machine, gc)).error).toBeUndefined();
  expect(machine.dump()).toEqual(clean);
});

it('stay when something is in them, or a container is noted for them', async () => {
  const machine = withVolumes({
    full: undefined,
    'full/letter': 'dear',
    empty: undefined,
    noted: undefined,
    '.web': 'noted\n',
  });
  expect((await runspec(machine, gc)).error).toBeUndefined();
  expect(volumes(machine).map((path) => path.replace(`${dataDir}/volumes`, ''))).toEqual([
    '',
    '/.web',
    '/full',
    '/full/letter',
    '/noted',
  ]);
});

it('stay when a record has them', async () => {
  const machine = createFakeMachine();
  const plan = planOf('web', '10.209.0.2', 8080);
  const edges = { needs: [], after: [] };
  const folder = {
    id: 'dir:volumes',
    op: 'directory',
    path: `${dataDir}/volumes`,
    mode: 0o700,
    removal: 'empty',
  } as const;
  const volume = {
    id: 'volume:data',
    op: 'directory',
    path: `${dataDir}/volumes/data`,
    mode: 0o755,
    removal: 'volume',
  } as const;
  const steps = [
    { ...folder, ...edges, shared: true },
    { ...volume, needs: ['dir:volumes'], after: [], shared: true },
    ...plan.steps,
  ] as const;
  expect((await runspec(machine, apply({ ...plan, steps }))).error).toBeUndefined();
  const before = machine.dump();
  expect((await runspec(machine, gc)).error).toBeUndefined();
  expect(machine.dump()).toEqual(before);
});
