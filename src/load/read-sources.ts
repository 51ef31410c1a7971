// Reads the SPEC arguments of a command to texts: a file, a folder of specs, or `-` for standard input. The only part
// of load that reads, and only through what it is given.
import { posix } from 'node:path';
import { UsageError } from '../errors.ts';
import { decode, type DecodedText } from './decode.ts';

/** Name of standard input in messages and records. */
export const STDIN = '<stdin>';

/** A text and where it came from. */
export interface SourceText extends DecodedText {
  /** Name of the file in messages. */
  readonly file: string;
  /** Absolute; relative paths of the spec resolve against it. */
  readonly baseDir: string;
}

/** The part of Host that finding and reading specs takes. */
export interface SpecFiles {
  realPath(path: string): Promise<string | undefined>;
  status(path: string): Promise<FileKind | undefined>;
  list(path: string): Promise<readonly string[] | undefined>;
  readBytes(path: string): Promise<Uint8Array | undefined>;
}

/** Streams that are read once, and to their end. */
export interface SpecStreams {
  stdin(): Promise<Uint8Array>;
  /** A fifo, or a pipe below /dev/fd. */
  pipe(path: string): Promise<Uint8Array>;
}

interface FileKind {
  readonly type: string;
  readonly size: number;
}

/** 4 MiB: far above any spec written by hand, far below what makes a parser slow. */
export const MAX_TEXT_LENGTH = 4 * 1024 * 1024;

const PIPES = /^\/(?:dev|proc\/(?:self|\d+))\/fd\/\d+$/;
const DEV_STDIN = '/dev/stdin';

const EXTENSIONS = ['.yaml', '.yml', '.json'];

/**
 * Texts of all arguments, those of a folder sorted by name.
 * @param cwd absolute; relative arguments, and the paths in a spec from standard input, start there.
 * @throws UsageError for an argument that is no spec or may not be read.
 */
export async function readSources(
  host: SpecFiles,
  args: readonly string[],
  streams: SpecStreams,
  cwd: string,
): Promise<readonly SourceText[]> {
  if (args.length === 0)
    throw new UsageError('no spec is given', 'name a file, a folder of specs, or - for standard input');
  if (args.filter((arg) => arg === '-' || arg === DEV_STDIN).length > 1)
    throw new UsageError('standard input is named twice', 'write - once');
  // However it is spelt, what is named twice is read once.
  const paths = args.map((arg) => (arg === '-' ? arg : posix.resolve(cwd, arg)));
  const unique = args.filter((_, index) => paths.indexOf(paths[index] ?? '') === index);
  const sources = await Promise.all(unique.map((arg) => readArgument(host, arg, streams, cwd)));
  return sources.flat();
}

async function readArgument(
  host: SpecFiles,
  arg: string,
  streams: SpecStreams,
  cwd: string,
): Promise<readonly SourceText[]> {
  if (arg === '-') return [{ file: STDIN, baseDir: cwd, ...decode(await streams.stdin()) }];
  const path = posix.resolve(cwd, arg);
  const realPath = await host.realPath(path);
  const status = realPath === undefined ? undefined : await host.status(realPath);
  const leadsToNoName = status === undefined && (await host.status(path)) !== undefined;
  // Standard input is read by its descriptor: a socket cannot be opened as /dev/stdin.
  if (leadsToNoName && path === DEV_STDIN)
    return [{ file: arg, baseDir: cwd, ...decode(await streams.stdin()) }];
  // `runspec plan <(generate)`: /dev/fd/63 leads to a pipe, which has no name.
  const isPipe = status?.type === 'fifo' || (leadsToNoName && PIPES.test(path));
  if (isPipe) return [{ file: arg, baseDir: cwd, ...decode(await streams.pipe(path)) }];
  if (realPath === undefined || status === undefined) {
    throw new UsageError(
      `there is no spec ${arg}`,
      leadsToNoName ? 'the symlink leads nowhere' : 'name a file, a folder of specs, or - for standard input',
    );
  }
  if (status.type !== 'directory') {
    const read = await readFile(host, arg, path, status);
    // `runspec plan /dev/stdin < web.yaml`: the name says nothing of where the file lies.
    return [path === DEV_STDIN || PIPES.test(path) ? { ...read, baseDir: cwd } : read];
  }
  const names = (await host.list(realPath)) ?? [];
  const specs = names.filter((name) => !name.startsWith('.') && EXTENSIONS.includes(posix.extname(name)));
  if (specs.length === 0)
    throw new UsageError(`there is no spec in the folder ${arg}`, `specs end in ${EXTENSIONS.join(', ')}`);
  return Promise.all(
    specs.toSorted().map(async (name) => {
      const file = posix.join(path, name);
      return readFile(
        host,
        posix.join(arg, name),
        file,
        await host.status((await host.realPath(file)) ?? file),
      );
    }),
  );
}

async function readFile(
  host: SpecFiles,
  shown: string,
  path: string,
  status: FileKind | undefined,
): Promise<SourceText> {
  if (status === undefined) throw new UsageError(`there is no spec ${shown}`, 'the symlink leads nowhere');
  if (status.type !== 'file') {
    throw new UsageError(
      `${shown} is a ${status.type}, not a spec`,
      'name a file, a folder of specs, or - for standard input',
    );
  }
  if (status.size > MAX_TEXT_LENGTH) {
    throw new UsageError(
      `${shown} has ${status.size} bytes, more than ${MAX_TEXT_LENGTH}`,
      'put large content into a tarball or a directory layer',
    );
  }
  const bytes = await readPermitted(host, path, shown);
  if (bytes === undefined) throw new UsageError(`there is no spec ${shown}`, 'it was removed a moment ago');
  return { file: shown, baseDir: posix.dirname(path), ...decode(bytes) };
}

async function readPermitted(host: SpecFiles, path: string, shown: string): Promise<Uint8Array | undefined> {
  try {
    return await host.readBytes(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')))
      throw error;
    throw new UsageError(
      `${shown} may not be read`,
      'give it the right to be read, or run runspec as its owner',
    );
  }
}
