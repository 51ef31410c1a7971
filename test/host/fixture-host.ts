// A Host that has only what a fixture says: files and what commands print. Anything else is not there.
import { readFileSync } from 'node:fs';
import type { CommandResult, FileStatus, Host } from '../../src/host/host.ts';

export function fixture(name: string): string {
  return readFileSync(new URL(`../fixtures/kernel/${name}`, import.meta.url), 'utf8');
}

export interface FixtureHost {
  readonly files?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  /** By the command line; without one the command is not installed. */
  readonly commands?: Readonly<Record<string, Partial<CommandResult>>>;
}

export function createFixtureHost({ files = {}, links = {}, commands = {} }: FixtureHost): Host {
  const paths = [...Object.keys(files), ...Object.keys(links)];
  const names = (folder: string): readonly string[] | undefined => {
    const below = paths.filter((path) => path.startsWith(`${folder}/`));
    if (below.length === 0) return undefined;
    return [...new Set(below.map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''))].toSorted();
  };
  const known: Partial<Host> = {
    readText: (path) => Promise.resolve(files[path]),
    status: (path) =>
      Promise.resolve(
        files[path] !== undefined || names(path) !== undefined ? ({ type: 'file' } as FileStatus) : undefined,
      ),
    list: (folder) => Promise.resolve(names(folder)),
    readLink: (path) => {
      const target = links[path];
      return target === undefined ? Promise.reject(new Error(`no link ${path}`)) : Promise.resolve(target);
    },
    run: (argv) => {
      const found = commands[argv.join(' ')];
      const result = { argv, status: undefined, stdout: '', stderr: '' };
      return Promise.resolve(found === undefined ? result : { ...result, status: 0, ...found });
    },
  };
  return known as Host;
}
