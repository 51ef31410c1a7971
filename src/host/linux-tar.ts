// GNU tar and compressors as children that work on standard input and output. The flags of tar suppose an empty folder
// for each archive, and drop trusted.* attributes of others, which an overlay obeys in its lower layers.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { OperationError, type FailedCommand } from '../errors.ts';
import type { CopySource } from './archives.ts';
import { confine, INSIDE } from './linux-confine.ts';

const ATTRIBUTES = ['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability'];
/** Attribute of opaque folders. Only runspec's own entries have it: the inspector takes it out of all others. */
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

/**
 * Whether GNU tar filled the disk: it says `Wrote only 8704 of 10240 bytes` of the file that did not fit, and fails
 * with ENOSPC at the next one.
 */
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

/** Starts tar in a root of its own, where it can write only to `directory`. */
export function startUnpacking(directory: string): Filter {
  const { argv, table } = confine(directory, ['tar', ...EXTRACT, '--directory', INSIDE]);
  try {
    return startFilter(argv, [table]);
  } finally {
    fs.closeSync(table);
  }
}

/**
 * Shell texts that mount what is to be packed and then run tar, because two programs have to run in one mount
 * namespace, which ends with them. The texts are constant; paths come as arguments. The mount point is /sys, which
 * every machine has. nosymfollow: the owner of a folder may put a symlink on the way to a name at any moment, and it
 * would lead to the host's files. mount(8) before 2.37 refuses nosymfollow for a file system, hence the second try of
 * JOIN, and ignores it for a bind.
 */
const JOIN =
  'mount --no-mtab --types overlay --options "$1,nosymfollow" overlay /sys 2>/dev/null ||' +
  ' mount --no-mtab --types overlay --options "$1" overlay /sys && shift && exec "$@"';
const BIND =
  'mount --no-mtab --types tmpfs --options size=64k,mode=700 tmpfs /sys || exit; count=$1; shift; at=0;' +
  ' while [ "$at" -lt "$count" ]; do mkdir "/sys/$at" || exit;' +
  ' mount --no-mtab --options bind,ro,nosymfollow "$1" "/sys/$at" || exit; shift; at=$((at + 1)); done; exec "$@"';

/** Folder that BIND mounts a root on. */
function placeOf(index: number): string {
  return `/sys/${index}`;
}

function withRoots(roots: readonly string[], argv: readonly string[]): readonly string[] {
  return ['unshare', '--mount', 'sh', '-c', BIND, 'sh', String(roots.length), ...roots, ...argv];
}

/** Options that give the same bytes for the same content, wherever and whenever it was written. */
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
  // No bind for a folder that tar walks by itself: tar follows no symlink in it, and a bind would leave out the mounts
  // below it, which belong to it.
  if (overlay === undefined && (recursive || root === '/')) return startFilter(tar(root));
  if (overlay === undefined) return startFilter(withRoots([root], tar(placeOf(0))));
  const join = ['unshare', '--mount', 'sh', '-c', JOIN, 'sh', overlay.options];
  return startFilter([...join, ...tar(`/sys${root}`)], [], overlay.folder);
}

/**
 * Starts tar on entries of several roots. They come NUL-separated on standard input, each as `./` and a path, behind
 * the `rootName` of their root. Attributes include an overlay's own mark of opaque folders. Hard links are written as
 * further names of one file (`names`), or each as a file of its own (`files`).
 */
export function startReading(roots: readonly string[], links: 'names' | 'files'): Filter {
  const names = ['--no-recursion', '--null', '--no-verbatim-files-from', '--no-unquote', '--files-from=-'];
  const each = links === 'files' ? ['--hard-dereference'] : [];
  return startFilter(withRoots(roots, ['tar', ...CREATE, OPAQUE, ...each, ...names]));
}

/** Word on standard input by which `startReading` changes to a root. */
export function rootName(index: number): string {
  return `-C${placeOf(index)}`;
}

/**
 * Starts GNU gzip, although zlib takes 60 % of its time: zlib's bytes differ between versions of Node and even between
 * processors, those of gzip have been the same for decades, and digests are made of them.
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
  // Folders that an archive does not list get their mode from the umask: a fixed one instead of the caller's.
  const umask = process.umask(0o022);
  const stdio = ['pipe', 'pipe', 'pipe', ...descriptors] as ['pipe', 'pipe', 'pipe'];
  // A new session keeps a Ctrl-C from the child: runspec ends it.
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
    // GNU tar would go on with the next file, in vain.
    if (isDiskFull(stderr)) child.kill('SIGKILL');
  });
  // A program that ends early breaks its pipes; its status says why.
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
