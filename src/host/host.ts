// Everything runspec may ask of the machine. Ops speak to this interface only; linux.ts is the real
// one, test/support has a fake. Paths are absolute. Methods throw the system's error (with `code`)
// unless they say otherwise.
import type { Duplex } from 'node:stream';

export type FileType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'block' | 'character';

export interface FileStatus {
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky, as in 0o1777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly device: number;
  readonly inode: number;
  /** Nanoseconds since the epoch, as decimal text because the value does not fit a number. */
  readonly mtimeNs: string;
  /** Time of the last change of content, name or attributes, in the same form; unlike the mtime, nobody can set it. */
  readonly ctimeNs: string;
  /** Major and minor number of a device node. */
  readonly rdev?: { readonly major: number; readonly minor: number };
}

/** Suffix of the temporary file that writeAtomic writes before it renames the file into place. */
export const UNFINISHED_WRITE = '.runspec-new';

export interface FileOptions {
  /** Permission bits, set exactly, regardless of the umask; by default 0o600 for a file and 0o700 for a folder. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /**
   * False skips fsync, which takes longer than the rest of the write: for files that are noticed as missing and made
   * again after a power cut. True by default.
   */
  readonly sync?: boolean;
}

export interface WriteOptions extends FileOptions {
  /** Path of the temporary file, on the same file system as the target; beside the target by default. */
  readonly via?: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly cwd?: string;
  /** Variables beside PATH and LC_ALL; the command gets no others of runspec's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Aborting kills the command and rejects with the signal's reason. For commands that may wait for somebody. */
  readonly signal?: AbortSignal;
}

export interface CommandResult {
  readonly argv: readonly string[];
  /** Exit status; undefined when a signal ended the command or it could not be started. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * `null` is /dev/null, `inherit` runspec's own descriptor of that number, `pipe` a socket pair, `append` a file opened
 * for appending. `fifo` is a pipe made by mkfifo, whose name is removed before the child starts: the child can open it
 * again as /dev/stdout, which fails for a socket.
 */
export type Stdio = 'null' | 'inherit' | 'pipe' | { readonly append: string } | { readonly fifo: string };

export interface SpawnOptions {
  readonly stdio: readonly Stdio[];
  readonly cwd?: string;
  /** The whole environment of the child; PATH and LC_ALL alone by default. */
  readonly env?: Readonly<Record<string, string>>;
  /** True starts the child in a new session, so that a signal to runspec's process group does not reach it. */
  readonly detached?: boolean;
}

export interface Child {
  readonly pid: number;
  /**
   * Parent's end of a `pipe` or `fifo`. A fifo has one direction: the child reads descriptor 0 and writes any other.
   */
  pipe(fd: number): Duplex;
  readonly exited: Promise<{
    readonly status: number | undefined;
    readonly signal: NodeJS.Signals | undefined;
  }>;
  /** Sends a signal. False once the child has exited: nothing is sent then, as its pid may be another process's. */
  kill(signal: NodeJS.Signals): boolean;
  /** Lets runspec end while the child goes on. */
  release(): void;
}

export interface Lock {
  /** True when this call made the lock's file: nobody else has held the lock since `onMade` was called. */
  readonly isNew: boolean;
  release(): Promise<void>;
}

export interface Host {
  /** The variables runspec was started with. Secrets may be among them. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Text of a file; undefined when it, or a folder on the way, does not exist. */
  readText(path: string): Promise<string | undefined>;
  readBytes(path: string): Promise<Uint8Array | undefined>;
  /** Writes to a file that exists, in place and in one write(2): procfs, cgroupfs, files that are bind-mounted. */
  writeInPlace(path: string, text: string): Promise<void>;
  /** Writes a new file, syncs it and renames it to `path`: readers see the old or the new text whole. */
  writeAtomic(path: string, text: string, options?: WriteOptions): Promise<void>;
  /** Appends all of `data` or nothing, and syncs it to the disk; with `sync: false` a power cut may take it. */
  append(path: string, data: string | Uint8Array, options?: { readonly sync?: boolean }): Promise<void>;
  /** chmod(2) of a file or folder; symlinks are refused. */
  setMode(path: string, mode: number): Promise<void>;
  /** Makes one folder; false when a folder of that name is there already. The parent must exist. */
  makeDirectory(path: string, options?: FileOptions): Promise<boolean>;
  /** Removes an empty folder; false when it is gone already. */
  removeDirectory(path: string): Promise<boolean>;
  /** Removes a file or symlink; false when it is gone already. */
  removeFile(path: string): Promise<boolean>;
  /**
   * Removes a folder and all below it without ever crossing into another mount, not even one of the
   * same file system; throws OperationError naming the mount when one is in the way. False when gone already.
   */
  removeTree(path: string): Promise<boolean>;
  rename(from: string, to: string): Promise<void>;
  makeSymlink(target: string, path: string): Promise<void>;
  /** Like lstat(2): symlinks are not followed; undefined when nothing is there. */
  status(path: string): Promise<FileStatus | undefined>;
  /**
   * Like stat(2): follows symlinks, and the links of /proc, whose targets are no paths; undefined when nothing is
   * there.
   */
  statusOfTarget(path: string): Promise<FileStatus | undefined>;
  /** Names in a folder, sorted; undefined when it does not exist. */
  list(path: string): Promise<readonly string[] | undefined>;
  readLink(path: string): Promise<string>;
  /** The path with every symlink resolved; undefined when it does not exist. */
  realPath(path: string): Promise<string | undefined>;
  /** Whether runspec's own credentials may write at `path` (access(2) W_OK). */
  isWritable(path: string): Promise<boolean>;
  /** Free bytes for root on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>;

  /** Runs a command to its end, whatever its status. Never a shell. */
  run(argv: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** Starts a command that may outlive runspec. */
  spawn(argv: readonly string[], options: SpawnOptions): Child;
  /**
   * Absolute path of a program on PATH, with the sbin sibling of each bin folder added; undefined when there is none.
   */
  which(program: string): Promise<string | undefined>;
  /** Sends a signal to a process that is no child of runspec; false when the process is gone. */
  kill(pid: number, signal: NodeJS.Signals): Promise<boolean>;
  /**
   * Takes an exclusive lock that the kernel drops with the process; undefined when `timeoutMs` passes first.
   * @param onMade is called when the lock's file did not exist and this call has made it.
   */
  lock(path: string, timeoutMs: number, onMade?: () => void): Promise<Lock | undefined>;

  /** Ends the programs that are kept running for further commands (linux-ip.ts). */
  close(): Promise<void>;
  /**
   * Has V8 compile no more code of this process for speed. It does that on processors that the programs of twenty
   * containers want, a sixth of all work, for code that runs half a second. What unpacks archives wants it.
   */
  stopOptimizing(): void;

  sleep(milliseconds: number): Promise<void>;
  /** Milliseconds since the epoch, for records and logs: it jumps whenever somebody sets the clock. */
  now(): number;
  /** Milliseconds of a clock that nobody sets, for waits and durations; only differences mean anything. */
  monotonic(): number;
}
