// What GNU tar can reach while it unpacks, with every check of runspec's out of the way.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TarInspector } from '../../src/host/archives.ts';
import { confine, INSIDE } from '../../src/host/linux-confine.ts';
import { archives, isRoot, listTree, makeScratch } from '../image/scratch.ts';
import { archive, entry } from '../image/write-tar.ts';

const blind: TarInspector = { write: (chunk) => [chunk], end: () => [] };
const file = (name: string): Buffer => entry({ name, data: 'planted' });
const link = (name: string, target: string): Buffer => entry({ name, type: '2', link: target });

describe.skipIf(!isRoot)('the root in which archives are unpacked', () => {
  const scratch = makeScratch();
  const outside = path.join(scratch, 'outside');
  fs.mkdirSync(outside);
  fs.writeFileSync(path.join(outside, 'sentinel'), 'untouched');

  /** Unpacks several archives into one folder, one after the other, whatever becomes of each. */
  async function unpackAll(name: string, ...parts: readonly Buffer[]): Promise<string> {
    const folder = path.join(scratch, name, 'layer');
    fs.mkdirSync(folder, { recursive: true });
    for (const [index, bytes] of parts.entries()) {
      const tar = path.join(scratch, `${name}-${index}.tar`);
      fs.writeFileSync(tar, bytes);
      const options = {
        inspector: blind,
        signal: new AbortController().signal,
        passed: () => undefined,
      };
      // That GNU tar refuses some of it is well; here it only counts where it writes.
      await archives.unpack(tar, folder, options).catch(() => undefined);
    }
    return folder;
  }

  const hostile: Readonly<Record<string, readonly Buffer[]>> = {
    'a symlink out, then a second archive through it': [
      archive(link('esc', outside)),
      archive(file('esc/planted')),
    ],
    'a relative symlink out, then through it': [
      archive(link('esc', '../../outside')),
      archive(file('esc/planted')),
    ],
    'an absolute name': [archive(file(`${outside}/planted`))],
    parents: [archive(file('../../outside/planted'))],
    'a symlink to the root of the host, then through it': [
      archive(link('esc', '/')),
      archive(file(`esc${outside}/planted`)),
      archive(file('esc/usr/planted'), file('esc/lib/planted'), file('esc/bin/planted')),
    ],
    'a hard link to a file outside, through a symlink': [
      archive(link('esc', outside)),
      archive(entry({ name: 'got', type: '1', link: 'esc/sentinel' })),
    ],
  };
  for (const [name, parts] of Object.entries(hostile)) {
    it(`holds ${name}`, async () => {
      await unpackAll(name, ...parts);
      expect(listTree(outside)).toEqual(['sentinel 100644 0:0']);
      expect(fs.readFileSync(path.join(outside, 'sentinel'), 'utf8')).toBe('untouched');
      expect(fs.statSync(path.join(outside, 'sentinel')).nlink).toBe(1);
      for (const folder of ['/', '/usr', '/bin', '/lib'])
        expect(fs.readdirSync(folder)).not.toContain('planted');
    });
  }

  it('has the programs of the machine, read-only, and nothing else', () => {
    const folder = path.join(scratch, 'with space\tand \\ and #');
    fs.mkdirSync(folder);
    const script = `ls / | tr '\\n' ' '; echo; touch ${INSIDE}/made; for d in /usr /lib; do touch $d/x 2>&1; done; ls /sys /proc 2>&1 | wc -l`;
    const { argv, table } = confine(folder, ['sh', '-c', script]);
    const [program = '', ...args] = argv;
    const said = execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe', table], encoding: 'utf8' });
    fs.closeSync(table);
    expect(fs.readdirSync(folder)).toEqual(['made']);
    const [top = '', ...rest] = said.split('\n');
    expect(top.split(' ')).toContain('layer');
    expect(
      top
        .trim()
        .split(' ')
        .filter((name) => !/^(?:bin|gnu|layer|lib|lib64|nix)$/.test(name)),
    ).toEqual(['usr']);
    expect(rest.join('\n').match(/Read-only file system/g)).toHaveLength(2);
  });

  it('lets nobody use a device or a setuid program while it is unpacked', () => {
    const folder = path.join(scratch, 'devices');
    fs.mkdirSync(folder);
    execFileSync('mknod', [path.join(folder, 'zero'), 'c', '1', '5']);
    const { argv, table } = confine(folder, ['head', '-c', '1', `${INSIDE}/zero`]);
    const [program = '', ...args] = argv;
    expect(() => execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe', table] })).toThrow(
      /Permission denied/,
    );
    fs.closeSync(table);
  });
});
