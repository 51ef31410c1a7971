import { expect, it } from 'vitest';
import type { FileOptions } from '../../src/host/host.ts';
import { findPlaceFault } from '../../src/run/check-places.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate } from '../support/fake/gate.ts';
import { createFakeMachine } from '../support/fake/machine.ts';

const PLACE = '/srv/of/data';

/** Folders from /srv down, those left out are not there; @returns the fault found. */
async function judge(...folders: readonly FileOptions[]): Promise<string | undefined> {
  const machine = createFakeMachine();
  const paths = ['/srv', '/srv/of', PLACE, `${PLACE}/containers`, `${PLACE}/volumes`];
  folders.forEach((options, index) =>
    machine.files.makeDirectory(paths[index] ?? '', { mode: 0o755, ...options }),
  );
  const fault = await findPlaceFault(createFakeHost(machine, createGate()), 'data', PLACE);
  return fault && `${fault.message}; ${fault.hint}`.replaceAll(/^.*?: |; or .*/g, '');
}

it.each<readonly [string, readonly FileOptions[]]>([
  ['of root alone', [{}, {}, { mode: 0o700 }]],
  ['that is not there yet', [{}, {}]],
  ['below a sticky folder', [{}, { mode: 0o1777 }, {}]],
  ['that is sticky itself', [{}, {}, { mode: 0o1777 }, {}]],
  ["below a user's", [{}, { uid: 1000, mode: 0o700 }, {}]],
  ['below one that a group can write to', [{}, { mode: 0o2775, gid: 50 }, {}]],
  ['of the group of root', [{}, { mode: 0o775 }, { mode: 0o770 }]],
])('a folder %s is fit', async (_, folders) => {
  expect(await judge(...folders)).toBeUndefined();
});

it.each<readonly [string, readonly FileOptions[], string]>([
  [
    "of a user's",
    [{}, {}, { uid: 1000 }],
    "it belongs to user 1000; make it root's alone: chown root /srv/of/data",
  ],
  [
    'below one that all can write to',
    [{ mode: 0o777 }, {}, {}],
    "/srv can be written by anybody (mode 777); make it root's alone: chmod o-w /srv",
  ],
  [
    'that a group can write to',
    [{}, {}, { mode: 0o775, gid: 50 }],
    "it can be written by others than root (mode 775 of group 50); make it root's alone: chmod go-w /srv/of/data",
  ],
  [
    'with volumes that a user has made',
    [{}, {}, { mode: 0o1777 }, {}, { uid: 1000 }],
    "/srv/of/data/volumes belongs to user 1000; make it root's alone: chown root /srv/of/data/volumes",
  ],
  [
    'with records of a user',
    [{}, {}, { mode: 0o1777 }, { uid: 1000 }],
    "/srv/of/data/containers belongs to user 1000; make it root's alone: chown root /srv/of/data/containers",
  ],
])('a folder %s is not', async (_, folders, fault) => {
  expect(await judge(...folders)).toBe(fault);
});
