// GNU tar as a child: one that unpacks its standard input, one that packs to its standard output.
// Flags as measured: an empty folder for each archive, and no trusted.* attributes of anyone else's, which an
// overlay obeys in its lower layers.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { OperationError, type FailedCommand } from '../errors.ts';
import type { CopySource } from './archives.ts';
import { confine, INSIDE } from './linux-confine.ts';

const ATTRIBUTES = ['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability'];
/** Only runspec's own entries have it: the inspector takes it out of everything else. */
const OPAQUE = '--xattrs-include=trusted.overlay.opaque';

const EXTRACT = [
  '--extract',
  '--file=-',
  '--numeric-owner',
  '--same-owner',
  '--preserve-permissions',
  '--delay-directory-restore',
  '--no-acls',
  '--no-selinux',
  '--warning=no-timestamp',
  '--warning=no-unknown-keyword',
  ...ATTRIBUTES,
  OPAQUE,
];

const CREATE = [
  '--create',
  '--file=-',
  '--format=posix',
  '--pax-option=delete=atime,delete=ctime',
  '--numeric-owner',
  '--warning=no-file-ignored',
  ...ATTRIBUTES,
];

/** A file that did not fit is `Wrote only 8704 of 10240 bytes`; the next one gets ENOSPC itself. */
export function isDiskFull(stderr: string): boolean {
  return /No space left on device|Disk quota exceeded|Wrote only \d+ of \d+ bytes/.test(stderr);
}

export interface Filter {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves when the process has ended and all its output was read. */
  readonly ended: Promise<FailedCommand>;
  stop(): void;
}

/** In a root of its own, in which it can write to nothing but `directory`. */
export function startUnpacking(directory: string): Filter {
  const { argv, table } = confine(directory, ['tar', ...EXTRACT, '--directory', INSIDE]);
  try {
    return startFilter(argv, [table]);
  } finally {
    fs.closeSync(table);
  }
}

/**
 * Two programs have to run in one mount namespace, which ends with them. The texts are constant; what they are about comes
 * as arguments. The place is one that every machine has. No symlink on the way to a name is followed: whoever owns
 * a folder may put one there at any moment, and it would lead to the host's files. (mount(8) before 2.37 does not know of
 * that for a file system, and passes over it for a bind.)
 */
const JOIN =
  'mount --no-mtab --types overlay --options "$1,nosymfollow" overlay /sys 2>/dev/null ||' +
  ' mount --no-mtab --types overlay --options "$1" overlay /sys && shift && exec "$@"';
const BIND =
  'mount --no-mtab --types tmpfs --options size=64k,mode=700 tmpfs /sys || exit; count=$1; shift; at=0;' +
  ' while [ "$at" -lt "$count" ]; do mkdir "/sys/$at" || exit;' +
  ' mount --no-mtab --options bind,ro,nosymfollow "$1" "/sys/$at" || exit; shift; at=$((at + 1)); done; exec "$@"';

/** Where BIND puts a root. */
function placeOf(index: number): string {
  return `/sys/${index}`;
}

function withRoots(roots: readonly string[], argv: readonly string[]): readonly string[] {
  return ['unshare', '--mount', 'sh', '-c', BIND, 'sh', String(roots.length), ...roots, ...argv];
}

/** The same bytes for the same content, wherever and whenever it was written. */
const TIMELESS = ['--sort=name', '--mtime=@0', '--pax-option=exthdr.name=%d/PaxHeaders/%f'];

/** Names come NUL-separated on standard input and are never taken for options. */
export function startPacking(
  { root, recursive, overlay }: CopySource,
  times: 'times' | 'timeless' = 'times',
): Filter {
  const depth = recursive ? '--recursion' : '--no-recursion';
  const tar = (folder: string): readonly string[] => [
    'tar',
    ...CREATE,
    ...(times === 'timeless' ? TIMELESS : []),
    '--sparse',
    depth,
    '--directory',
    folder,
    '--null',
    '--files-from=-',
  ];
  // Within a folder that it goes through tar follows none itself, and mounts below it belong to it.
  if (overlay === undefined && (recursive || root === '/')) return startFilter(tar(root));
  if (overlay === undefined) return startFilter(withRoots([root], tar(placeOf(0))));
  const join = ['unshare', '--mount', 'sh', '-c', JOIN, 'sh', overlay.options];
  return startFilter([...join, ...tar(`/sys${root}`)], [], overlay.folder);
}

/**
 * Entries come NUL-separated on standard input, `./` and a path each; `-C` and a name of `rootName` before them
 * says whose they are. Attributes include the marks of an overlay's own folders. Hard links are told as further
 * names of a file, or each as a file of its own.
 */
export function startReading(roots: readonly string[], links: 'names' | 'files'): Filter {
  const names = ['--no-recursion', '--null', '--no-verbatim-files-from', '--no-unquote', '--files-from=-'];
  const each = links === 'files' ? ['--hard-dereference'] : [];
  return startFilter(withRoots(roots, ['tar', ...CREATE, OPAQUE, ...each, ...names]));
}

/** A root as `startReading` names it. */
export function rootName(index: number): string {
  return `-C${placeOf(index)}`;
}

/**
 * GNU gzip and not zlib, which takes 60 % of the time: zlib's bytes differ between versions of Node and even
 * between processors, those of gzip have been the same for decades, and digests are made of them.
 */
export function startCompressing(): Filter {
  return startFilter(['gzip', '--stdout', '--no-name', '-6']);
}

/** xz and zstd, which Node 20 cannot decompress by itself. */
export function startDecompressing(program: 'xz' | 'zstd'): Filter {
  return startFilter([program, '--decompress', '--stdout', '--quiet']);
}

/** `descriptors` become the child's from 3 on. */
function startFilter(argv: readonly string[], descriptors: readonly number[] = [], cwd?: string): Filter {
  const [program, ...args] = argv;
  // TAR_OPTIONS, XZ_OPT and their like would change what these programs do: the environment is ours alone.
  const env = { PATH: '/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };
  // Folders an archive does not list get their mode from the umask, which is the caller's otherwise.
  const umask = process.umask(0o022);
  const stdio = ['pipe', 'pipe', 'pipe', ...descriptors] as ['pipe', 'pipe', 'pipe'];
  // In a session of its own: a Ctrl-C is for runspec, which ends it.
  const child = spawn(program ?? '', args, {
    stdio,
    env,
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
  });
  process.umask(umask);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < 64_000) stderr += chunk.toString('utf8');
    // GNU tar goes on with the next file; there is no point in it.
    if (isDiskFull(stderr)) child.kill('SIGKILL');
  });
  // A program that ends early breaks its pipes; its status tells the story.
  for (const stream of [child.stdin, child.stdout]) stream.on('error', () => undefined);
  const ended = new Promise<FailedCommand>((resolve, reject) => {
    child.once('error', (cause) => {
      reject(
        new OperationError(`cannot run ${program}`, {
          cause,
          hint: `install ${program}; see: runspec doctor`,
        }),
      );
    });
    child.once('close', (status) => resolve({ argv, status: status ?? undefined, stderr: stderr.trim() }));
  });
  // Awaited later; until then a failure to start must not count as unhandled.
  ended.catch(() => undefined);
  return { stdin: child.stdin, stdout: child.stdout, ended, stop: () => void child.kill('SIGKILL') };
}
