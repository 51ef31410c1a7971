import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, expect, test } from 'vitest';
import { resolvePlace } from '../../src/commands/resolve-place.ts';
import { createLinuxHost } from '../../src/host/linux.ts';

const folder = realpathSync(mkdtempSync(`${tmpdir()}/runspec-place-`));
mkdirSync(`${folder}/real/below`, { recursive: true });
symlinkSync('real', `${folder}/link`);
symlinkSync('missing', `${folder}/dangling`);
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['a folder', 'real', 'real'],
  ['a symlink', 'link', 'real'],
  ['a folder below a symlink', 'link/below', 'real/below'],
  ['what is to be made below a symlink', 'link/new/newer', 'real/new/newer'],
  ['a way that goes up again', 'link/below/../new', 'real/new'],
  ['a dangling symlink', 'dangling', 'dangling'],
])('%s has its real path', async (_, path, expected) => {
  expect(await resolvePlace(createLinuxHost(), `${folder}/${path}`)).toBe(`${folder}/${expected}`);
});
