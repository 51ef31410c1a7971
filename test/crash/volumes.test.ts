// Volumes that nothing tells of: an apply was killed that had made them, and its record is gone.
import { expect, it } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, dataDir, gc, runspec } from './one-runspec.ts';
import { planOf } from './plans.ts';
import { difference } from './walk.ts';

const web = planOf('web', '10.209.0.2', 8080);
const directory = { op: 'directory', after: [], shared: true } as const;
const withData: Plan = {
  ...web,
  steps: [
    { id: 'dir:volumes', ...directory, path: `${dataDir}/volumes`, mode: 0o700, removal: 'empty', needs: [] },
    {
      id: 'volume:data',
      ...directory,
      path: `${dataDir}/volumes/data`,
      mode: 0o755,
      removal: 'volume',
      needs: ['dir:volumes'],
    },
    ...web.steps,
  ],
};

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

it('lose a note that a kill has cut short, also while a container is up', async () => {
  const machine = createFakeMachine();
  expect((await runspec(machine, apply(withData))).error).toBeUndefined();
  const up = machine.dump();
  machine.files.put(`${dataDir}/volumes/..db.runspec-new`, 'da');
  expect((await runspec(machine, gc)).error).toBeUndefined();
  expect(difference(up, machine.dump())).toEqual([]);
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

it('go when shared.json knows of them and no record does', async () => {
  const clean = createFakeMachine().dump();
  let seen = 0;
  let noted = 0;
  for (let at = 1; ; at += 1) {
    const machine = createFakeMachine();
    const { gate, end } = await runspec(machine, apply(withData), { at, how: 'die' });
    if (end === 'done') break;
    if (volumes(machine).includes(`${dataDir}/volumes/data`)) seen += 1;
    machine.files.drop(`${dataDir}/containers`);
    expect((await runspec(machine, gc)).error).toBeUndefined();
    const left = difference(clean, machine.dump());
    // Once it is noted whose it is, it may have been written to: it waits for `down --volumes`.
    const isNoted = volumes(machine).includes(`${dataDir}/volumes/.web`);
    if (isNoted) noted += 1;
    expect(isNoted ? volumes(machine).length : left, `killed in ${gate.changes.at(-1)}`).toEqual(
      isNoted ? 3 : [],
    );
  }
  expect(seen).toBeGreaterThan(10);
  expect(noted).toBeGreaterThan(0);
});

it('stay when a record has them', async () => {
  const machine = createFakeMachine();
  expect((await runspec(machine, apply(withData))).error).toBeUndefined();
  const before = machine.dump();
  expect((await runspec(machine, gc)).error).toBeUndefined();
  expect(machine.dump()).toEqual(before);
});
