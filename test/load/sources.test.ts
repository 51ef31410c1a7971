import { describe, expect, test } from 'vitest';
import { load } from '../../src/load/load.ts';
import {
  MAX_TEXT_LENGTH,
  readSources,
  type SourceText,
  type SpecFiles,
} from '../../src/load/read-sources.ts';

const spec = (name: string, more = ''): string =>
  `runspec: 1\nname: ${name}\nrootfs: { directory: ./rootfs }\n${more}`;
const source = (file: string, text: string, baseDir = '/specs'): SourceText => ({ file, baseDir, text });

describe('load', () => {
  test('conflicts between files are told at the later one and name the earlier', () => {
    const { specs, diagnostics } = load([
      source('b.yaml', spec('web', 'network: { ports: ["80:80"] }\n')),
      source('a.yaml', spec('web', 'network: { ports: ["80:81"] }\n')),
    ]);
    expect(diagnostics.map(({ file, code, message }) => ({ file, code, message }))).toEqual([
      {
        file: 'a.yaml',
        code: 'duplicate-name',
        message: 'name "web" is given to another container in b.yaml:2:7',
      },
      {
        file: 'a.yaml',
        code: 'port-conflict',
        message: 'host port 80/tcp is also published by web (b.yaml:4:20)',
      },
    ]);
    expect(specs.map(({ file }) => file)).toEqual(['b.yaml']);
  });

  test('a file that is named twice is told as such', () => {
    const { diagnostics } = load([source('a.yaml', spec('web')), source('a.yaml', spec('web'))]);
    expect(diagnostics.map(({ message }) => message)).toEqual(['a.yaml is read twice']);
  });

  test('a faulty document does not hide the others of its file', () => {
    const { specs, diagnostics } = load([source('a.yaml', `${spec('a')}---\n${spec('B')}---\n${spec('c')}`)]);
    expect(specs.map((one) => one.spec.name)).toEqual(['a', 'c']);
    expect(diagnostics.map(({ code }) => code)).toEqual(['bad-name']);
  });

  test('diagnostics come in the order of the files, then of the text', () => {
    const bad = spec('X', 'zzz: 1\n');
    const { diagnostics } = load([source('2.yaml', bad), source('1.yaml', bad)]);
    expect(diagnostics.map(({ file, range }) => `${file}:${range?.start.line}`)).toEqual([
      '2.yaml:2',
      '2.yaml:4',
      '1.yaml:2',
      '1.yaml:4',
    ]);
  });

  test('relative paths start at the folder of the file', () => {
    const { specs } = load([
      source('a.yaml', spec('a'), '/srv/one'),
      source('b.yaml', spec('b'), '/srv/two'),
    ]);
    expect(specs.map((one) => one.spec.rootfs)).toEqual([
      { kind: 'directory', directory: '/srv/one/rootfs' },
      { kind: 'directory', directory: '/srv/two/rootfs' },
    ]);
  });

  test('a place that is not in the text is that of its nearest parent', async () => {
    const [loaded] = load([
      source('a.yaml', spec('a', 'network:\n  ports:\n    - "80:80"\nprocess:\n'.replace('process:\n', ''))),
    ]).specs;
    const place = async (path: readonly (string | number)[]): Promise<string> => {
      const start = (await loaded?.locate(path))?.start;
      return `${start?.line}:${start?.column}`;
    };
    expect(await place(['network', 'ports', 0])).toBe('6:7');
    expect(await place(['network', 'ports', 0, 'hostPort'])).toBe('6:7');
    expect(await place(['network', 'ports', 7])).toBe('6:5');
    expect(await place(['network', 'subnet'])).toBe('5:3');
    expect(await place(['rootfs', 'directory'])).toBe('3:22');
    expect(await place(['process', 'args'])).toBe('1:1');
    expect(await place([])).toBe('1:1');
  });

  test.each([
    ['nested brackets', `${'['.repeat(20_000)}${']'.repeat(20_000)}`, 'too-deep'],
    ['brackets left open', '['.repeat(MAX_TEXT_LENGTH), 'too-deep'],
    ['nested objects', '{a: '.repeat(20_000), 'too-deep'],
    ['lists begun on one line', '- '.repeat(100_000), 'too-deep'],
    ['keys begun on one line', '? '.repeat(100_000), 'too-deep'],
    [
      'deep indentation',
      Array.from({ length: 2500 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      'too-deep',
    ],
    [
      'ten thousand keys',
      Array.from({ length: 10_000 }, (_, index) => `a${index}: 1`).join('\n'),
      'unknown-key',
    ],
    ['a little too deep', `runspec: ${'['.repeat(150)}${']'.repeat(150)}`, 'too-deep'],
    ['a large file', `# ${'x'.repeat(MAX_TEXT_LENGTH)}`, 'file-too-large'],
  ])('%s is refused in bounded time', (_, text, code) => {
    const { specs, diagnostics } = load([source('a.yaml', text)]);
    expect(specs).toEqual([]);
    expect(diagnostics.map((diagnostic) => diagnostic.code)).toContain(code);
  });

  test('brackets in text are no nesting', () => {
    const brackets = '['.repeat(200);
    const text = spec(
      'a',
      `process: { args: [sh, -c, "${brackets}"] }\nlayers:\n  - files:\n      /a: |\n        ${brackets}\n        ${'- '.repeat(200)}\n`,
    );
    expect(load([source('a.yaml', text)]).diagnostics).toEqual([]);
  });

  test('keys that objects inherit are unknown keys', () => {
    for (const key of ['constructor', 'toString', '__proto__']) {
      const { diagnostics } = load([source('a.yaml', spec('a', `${key}: {}\n`))]);
      expect(diagnostics.map(({ code, path }) => ({ code, path }))).toEqual([
        { code: 'unknown-key', path: [key] },
      ]);
    }
  });
});

describe('readSources', () => {
  const texts: Readonly<Record<string, string>> = {
    '/w/b.yaml': 'b',
    '/w/a.yml': 'a',
    '/w/c.json': 'c',
    '/w/.d.yaml': 'd',
    '/w/e.txt': 'e',
    '/dev/fd/3': 'f',
  };
  const types: Readonly<Record<string, string>> = {
    '/w': 'directory',
    '/empty': 'directory',
    '/dev/null': 'character',
    '/w/fifo': 'fifo',
    // It leads to `pipe:[4711]`, which is no path.
    '/dev/fd/63': 'symlink',
    '/dev/stdin': 'symlink',
  };
  const files: SpecFiles = {
    realPath: (path) =>
      Promise.resolve(types[path] === 'symlink' || !(path in types || path in texts) ? undefined : path),
    status: (path) =>
      Promise.resolve(path in types || path in texts ? { type: types[path] ?? 'file', size: 1 } : undefined),
    list: (path) =>
      Promise.resolve(
        path === '/w'
          ? Object.keys(texts)
              .map((name) => name.slice(3))
              .toSorted()
          : [],
      ),
    readBytes: (path) => Promise.resolve(path in texts ? Buffer.from(texts[path] ?? '') : undefined),
  };
  const read = (...args: readonly string[]): Promise<readonly SourceText[]> =>
    readSources(
      files,
      args,
      {
        stdin: () => Promise.resolve(Buffer.from('in')),
        pipe: (path) => Promise.resolve(Buffer.from(`out of ${path}`)),
      },
      '/w',
    );

  test('a file of two spellings is read once, in the first place and by the first of them', async () => {
    expect((await read('b.yaml', 'a.yml', './b.yaml', '/w/../w/a.yml', '-')).map(({ file }) => file)).toEqual(
      ['b.yaml', 'a.yml', '<stdin>'],
    );
  });

  test('a file is shown as it was named', async () => {
    expect(await read('b.yaml', './a.yml')).toEqual([
      source('b.yaml', 'b', '/w'),
      source('./a.yml', 'a', '/w'),
    ]);
  });

  test('a folder stands for its specs in the order of their names', async () => {
    expect((await read('/w')).map(({ file }) => file)).toEqual(['/w/a.yml', '/w/b.yaml', '/w/c.json']);
  });

  test('- is standard input, with paths from the working folder', async () => {
    expect(await read('-')).toEqual([source('<stdin>', 'in', '/w')]);
  });

  test('/dev/stdin is standard input too, whatever it leads to', async () => {
    expect(await read('/dev/stdin')).toEqual([source('/dev/stdin', 'in', '/w')]);
  });

  test('a redirected file has no folder of its own either', async () => {
    expect(await read('/dev/fd/3')).toEqual([source('/dev/fd/3', 'f', '/w')]);
  });

  test('a pipe is read to its end, with paths from the working folder', async () => {
    expect(await read('fifo', '/dev/fd/63')).toEqual([
      source('fifo', 'out of /w/fifo', '/w'),
      source('/dev/fd/63', 'out of /dev/fd/63', '/w'),
    ]);
  });

  test.each([
    [['nowhere.yaml']],
    [['/dev/fd/64']],
    [['/empty']],
    [['/dev/null']],
    [['-', '-']],
    [['-', '/dev/stdin']],
    [[]],
  ])('%j is a wrong use', async (args) => {
    await expect(read(...args)).rejects.toMatchObject({
      name: 'UsageError',
      hint: expect.stringMatching(/./) as string,
    });
  });
});
