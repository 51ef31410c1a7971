// Specs for system tests: those of specs/ under a name of the test's own, and small ones whose root file
// system is made of a few files of this machine.
import fs from 'node:fs';
import path from 'node:path';
import type { TestHost } from './test-host.ts';

const REPOSITORY = path.resolve(import.meta.dirname, '../..');
const SERVE = fs.readFileSync(path.join(REPOSITORY, 'test/fixtures/serve.pl'), 'utf8');

/** Folder of a host in which tests put specs and what they refer to. */
export const SPECS = 'specs';

export interface PlacedSpec {
  readonly name: string;
  /** Path of the spec, in a folder of its own with what it refers to. */
  readonly file: string;
  readonly folder: string;
}

/** Copies specs/FILE with all beside it; `edit` changes its text further. */
export function copySpec(host: TestHost, file: string, edit = (text: string): string => text): PlacedSpec {
  const text = fs.readFileSync(path.join(REPOSITORY, 'specs', file), 'utf8');
  const base = /^name: (\S+)$/m.exec(text)?.[1];
  if (base === undefined) throw new Error(`specs/${file} has no name`);
  const folder = path.join(host.folder, SPECS, base);
  fs.cpSync(path.join(REPOSITORY, 'specs', 'site'), path.join(folder, 'site'), { recursive: true });
  const name = host.name(base);
  const placed = path.join(folder, file);
  fs.writeFileSync(placed, edit(text.replace(/^name: \S+$/m, `name: ${name}`)));
  return { name, file: placed, folder };
}

/** Programs of the small root file system. */
const PROGRAMS = ['bash', 'env', 'cat', 'sleep', 'perl', 'ls', 'id', 'touch', 'stty', 'head', 'timeout'];

function findPrograms(programs: readonly string[] = PROGRAMS): readonly string[] {
  return programs.map((program) => {
    const found = ['/usr/bin', '/bin']
      .map((folder) => `${folder}/${program}`)
      .find((file) => fs.existsSync(file));
    if (found === undefined) throw new Error(`this machine has no ${program}`);
    return found;
  });
}

/** Programs of a root file system in which files are made, changed and deleted. */
export function findTools(): readonly string[] {
  const tools = [
    'chmod',
    'chown',
    'cp',
    'getfattr',
    'ln',
    'mkdir',
    'mkfifo',
    'mknod',
    'mv',
    'rm',
    'rmdir',
    'setfattr',
  ];
  return findPrograms([...PROGRAMS, ...tools]);
}

/** Keys of a spec; those given replace the defaults. */
export type SpecKeys = Readonly<Record<string, unknown>>;

/**
 * Writes a spec of a small root file system with `/srv/serve` (test/fixtures/serve.pl) in it. Unless `keys`
 * says otherwise the process is a shell that waits and ends at SIGTERM.
 */
export function writeSpec(host: TestHost, base: string, keys: SpecKeys = {}): PlacedSpec {
  const name = host.name(base);
  const spec = {
    runspec: 1,
    name,
    rootfs: { host: { files: findPrograms() } },
    layers: [
      {
        files: {
          '/srv/serve': { text: SERVE, mode: '0755' },
          '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000:Ana:/home/ana:/bin/bash\n',
          '/etc/group': 'root:x:0:\nana:x:1000:\n',
          // What a volume there begins with.
          '/var/lib/data/first': 'hello\n',
        },
      },
    ],
    process: { args: WAIT, stopTimeout: '5s' },
    ...keys,
  };
  const file = host.write(`${SPECS}/${base}.json`, JSON.stringify(spec, undefined, 2));
  return { name, file, folder: path.dirname(file) };
}

/** args of a process that waits without a program of its own, and ends at once at SIGTERM. */
export const WAIT: readonly string[] = ['perl', '-e', '$SIG{TERM} = sub { exit 0 }; sleep 1000 while 1'];

/** args of the server of test/fixtures/serve.pl, as in `serve('web', 'tcp:80')`. */
export function serve(name: string, ...ports: readonly string[]): readonly string[] {
  return ['/srv/serve', name, ...ports];
}

export const SERVE_FILE: string = path.join(REPOSITORY, 'test/fixtures/serve.pl');
