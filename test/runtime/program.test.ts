import { describe, expect, it } from 'vitest';
import { mergeLayers } from '../../src/image/resolve-path.ts';
import { checkProgram, programError } from '../../src/runtime/program.ts';
import { viewOfMounts } from '../../src/runtime/root-view.ts';
import { host, makeTree } from './scratch-root.ts';

const folder = makeTree({
  'root/bin/tool': '#!/bin/sh',
  'root/bin/data': 'text',
  'root/usr/bin/sh': '-> ../../bin/tool',
  'root/usr/bin/loop': '-> loop',
  'root/usr/bin/long-name': `-> ${'x'.repeat(300)}`,
  'root/usr/bin/long-path': `-> ${'./'.repeat(1900)}../../bin/tool`,
  'root/usr/bin/host-tool': '-> OUTSIDE/outside/host-tool',
  'root/opt/old': '-> /srv',
  'root/srv/keep': '',
  'outside/host-tool': '#!/bin/sh',
  'app/run': '#!/bin/sh',
});
const MOUNTS = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/app', type: 'bind', source: `${folder}/app` },
  { destination: '/opt/old', type: 'bind', source: `${folder}/app` },
  { destination: '/scratch', type: 'tmpfs', source: 'tmpfs' },
];

describe('the program of a process', () => {
  it.each([
    ['tool', 'found'],
    ['/bin/tool', 'found'],
    ['./tool', 'found'],
    ['sh', 'found'],
    ['data', 'not-executable'],
    ['/bin', 'not-executable'],
    ['nosuch', 'missing'],
    ['', 'missing'],
    ['/bin/tool/x', 'missing'],
    ['loop', 'missing'],
    ['long-name', 'missing'],
    ['long-path', 'found'],
    [`/${'sub/'.repeat(1200)}tool`, 'missing'],
    ['host-tool', 'missing'],
    ['/app/run', 'found'],
    ['/app/../app/run', 'found'],
    ['/app/gone', 'missing'],
    ['/srv/run', 'found'],
    ['/proc/self/exe', 'unknown'],
    ['/scratch/later', 'unknown'],
  ])('%s is %s, in a root and in the layers of one', async (program, expected) => {
    const process = { args: [program], env: ['PATH=/usr/bin:/bin:relative'], cwd: '/bin' };
    for (const root of [`${folder}/root`, await mergeLayers(host, [`${folder}/app`, `${folder}/root`])]) {
      const view = await viewOfMounts(host, root, MOUNTS);
      expect(await checkProgram(host, view, process)).toBe(expected);
    }
  });

  it('is looked for in no folder when PATH is empty', async () => {
    const view = await viewOfMounts(host, `${folder}/root`, []);
    expect(await checkProgram(host, view, { args: ['tool'], env: ['PATH='], cwd: '/' })).toBe('missing');
  });
});

it('without a name is told of in other words than one that is not there', () => {
  const message = (program: string): string => programError('missing', { args: [program], env: [] }).message;
  expect(message('')).toBe('the name of the program is empty');
  expect(message('nosuch')).toBe('no program nosuch in the root file system');
});
