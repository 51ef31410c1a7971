import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { resolveInLayers } from '../../src/image/resolve-path.ts';
import { host, makeScratch } from './scratch.ts';

/** Each layer, lowest first: path -> `dir`, `file`, or `-> target`. */
type Layers = readonly Readonly<Record<string, string>>[];

interface Case {
  readonly name: string;
  readonly layers: Layers;
  readonly path: string;
  readonly leads: string;
  readonly followLast?: false;
}

const CASES: readonly Case[] = [
  { name: 'nothing there', layers: [{}], path: '/a/b', leads: '/a/b' },
  { name: 'a plain folder', layers: [{ etc: 'dir' }], path: '/etc/hosts', leads: '/etc/hosts' },
  {
    name: 'usr-merge',
    layers: [{ bin: '-> usr/bin', 'usr/bin': 'dir' }],
    path: '/bin/tool',
    leads: '/usr/bin/tool',
  },
  {
    name: 'an absolute target',
    layers: [{ etc: '-> /private/etc', 'private/etc': 'dir' }],
    path: '/etc/x',
    leads: '/private/etc/x',
  },
  {
    name: 'an absolute target that exists on the host',
    layers: [{ etc: '-> /tmp' }],
    path: '/etc/x',
    leads: '/tmp/x',
  },
  { name: 'more .. than folders', layers: [{ esc: '-> ../../../../tmp' }], path: '/esc/x', leads: '/tmp/x' },
  { name: 'a dangling target', layers: [{ var: '-> data/var' }], path: '/var/lib', leads: '/data/var/lib' },
  { name: '.. in the path', layers: [{ a: '-> b/c', 'b/c': 'dir' }], path: '/a/../x', leads: '/b/x' },
  {
    name: 'a chain',
    layers: [{ a: '-> b', b: '-> c/d', 'c/d': '-> /e', e: 'dir' }],
    path: '/a/x',
    leads: '/e/x',
  },
  {
    name: 'the last component',
    layers: [{ 'etc/hosts': '-> ../run/hosts', run: 'dir' }],
    path: '/etc/hosts',
    leads: '/run/hosts',
  },
  {
    name: 'the last component, left alone',
    layers: [{ 'etc/hosts': '-> /run/hosts' }],
    path: '/etc/hosts',
    leads: '/etc/hosts',
    followLast: false,
  },
  {
    name: 'a link of an upper layer',
    layers: [{ a: 'dir', b: 'dir' }, { a: '-> b' }],
    path: '/a/x',
    leads: '/b/x',
  },
  {
    name: 'a folder over a link',
    layers: [{ a: '-> /b', b: 'dir' }, { a: 'dir' }],
    path: '/a/x',
    leads: '/a/x',
  },
  {
    name: 'a link in the lower of two folders',
    layers: [{ 'a/l': '-> /b', b: 'dir' }, { 'a/x': 'file' }],
    path: '/a/l/x',
    leads: '/b/x',
  },
  {
    name: 'a folder below a file below a folder',
    layers: [{ 'a/l': '-> /b' }, { a: 'file' }, { a: 'dir' }],
    path: '/a/l',
    leads: '/a/l',
  },
  { name: 'a file on the way', layers: [{ a: 'file' }], path: '/a/b', leads: '/a/b' },
  {
    name: 'a link into another layer',
    layers: [{ 'srv/www': 'dir' }, { www: '-> srv/www' }],
    path: '/www/x',
    leads: '/srv/www/x',
  },
];

describe('a path in stacked layers', () => {
  const scratch = makeScratch();
  let count = 0;

  function makeLayers(layers: Layers): readonly string[] {
    const base = path.join(scratch, String(count++));
    return layers.map((content, index) => {
      const root = path.join(base, String(index));
      fs.mkdirSync(root, { recursive: true });
      for (const [name, what] of Object.entries(content)) {
        const full = path.join(root, name);
        fs.mkdirSync(path.dirname(full), { recursive: true });
        if (what === 'dir') fs.mkdirSync(full, { recursive: true });
        else if (what === 'file') fs.writeFileSync(full, '');
        else fs.symlinkSync(what.slice(3), full);
      }
      return root;
    });
  }

  for (const { name, layers, path: wanted, leads, followLast } of CASES) {
    it(`is found through ${name}`, async () => {
      const found = await resolveInLayers(host, makeLayers(layers), wanted, {
        followLast: followLast ?? true,
      });
      expect(found.path).toBe(leads);
    });
  }

  it.each(['-> a', '-> ./a', '-> /a/b', '-> ../a'])('ends in an error for a loop: a %s', async (target) => {
    await expect(resolveInLayers(host, makeLayers([{ a: target }]), '/a/x')).rejects.toThrow(
      /\/a\/x runs in a loop/,
    );
  });

  it('takes mode and owner from the topmost layer that has the folder', async () => {
    const [lower = '', upper = ''] = makeLayers([{ a: 'dir' }, { a: 'dir' }]);
    fs.chmodSync(`${lower}/a`, 0o700);
    fs.chmodSync(`${upper}/a`, 0o1777);
    const found = await resolveInLayers(host, [lower, upper], '/a/b');
    expect(found.steps.map((step) => step.status?.mode)).toEqual([0o1777, undefined]);
  });
});
