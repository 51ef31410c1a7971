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
  /** Nanoseconds since the epoch, as decimal text: it does not fit a number. */
  readonly mtimeNs: string;
  /** The same of the last change of content, name or attributes, which nobody can set. */
  readonly ctimeNs: string;
  /** Major and minor number of a device node. */
  readonly rdev?: { readonly major: number; readonly minor: number };
}

/** How the name of a file ends that writeAtomic has begun and not yet renamed into place. */
export const UNFINISHED_WRITE = '.runspec-new';

export interface FileOptions {
  /** Permission bits, set exactly whatever the umask; 0o600 by default. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /**
   * False for what is found and made again when a power cut took it: not synced to the disk, which takes
   * longer than all the rest of a write. True by default.
   */
  readonly sync?: boolean;
}

export interface WriteOptions extends FileOptions {
  /** Where the new file is written, on the same file system; beside the old one by default. */
  readonly via?: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly cwd?: string;
  /** Variables of the command beside PATH and LC_ALL: of runspec's own it gets no other. */
  readonly env?: Readonly<Record<string, string>>;
  /** Kills the command when it fires, and fails with its reason. For commands that may wait for somebody. */
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
 * `null` is /dev/null, `inherit` runspec's own descriptor of that number, `pipe` a socket pair, `append` a file opened for
 * that; `fifo` a pipe made by mkfifo, which has no name any more once the child is there: a program can open it again as
 * /dev/stdout, which it cannot do with a socket.
 */
export type Stdio = 'null' | 'inherit' | 'pipe' | { readonly append: string } | { readonly fifo: string };

export interface SpawnOptions {
  readonly stdio: readonly Stdio[];
  readonly cwd?: string;
  /** The whole environment of the child. */
  readonly env?: Readonly<Record<string, string>>;
  /** In a session of its own, so that a signal to runspec's process group does not reach it. */
  readonly detached?: boolean;
}

export interface Child {
  readonly pid: number;
  /** The parent's end of a `pipe` or `fifo`; of the latter, the child reads descriptor 0 and writes the others. */
  pipe(fd: number): Duplex;
  readonly exited: Promise<{
    readonly status: number | undefined;
    readonly signal: NodeJS.Signals | undefined;
  }>;
  /** Sends a signal; false, and to nobody, once it has exited: its number may be another process's by then. */
  kill(signal: NodeJS.Signals): boolean;
  /** Lets runspec end while the child goes on. */
  release(): void;
}

export interface Lock {
  /** Its file was made by this call: nobody else has held it since `onMade` was called. */
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
  /** Appends all or nothing; what a power cut may take has `sync: false`, anything else is on disk when it resolves. */
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
  /** Like stat(2): of what the path leads to, through the links of /proc too, which are no paths; undefined when that is nothing. */
  statusOfTarget(path: string): Promise<FileStatus | undefined>;
  /** Names in a folder, sorted; undefined when it does not exist. */
  list(path: string): Promise<readonly string[] | undefined>;
  readLink(path: string): Promise<string>;
  /** With every symlink resolved; undefined when the path does not exist. */
  realPath(path: string): Promise<string | undefined>;
  /** Whether runspec's own credentials may write at `path` (access(2) W_OK). */
  isWritable(path: string): Promise<boolean>;
  /** Free bytes for root on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>;

  /** Runs a command to its end, whatever its status. Never a shell. */
  run(argv: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** Starts a command that may outlive runspec. */
  spawn(argv: readonly string[], options: SpawnOptions): Child;
  /** Absolute path of a program on PATH (with /usr/sbin and /sbin added); undefined when there is none. */
  which(program: string): Promise<string | undefined>;
  /** Sends a signal to what is no child of ours; false when the process is gone. */
  kill(pid: number, signal: NodeJS.Signals): Promise<boolean>;
  /**
   * Takes an exclusive lock that the kernel drops with the process; undefined when `timeoutMs` passes first.
   * @param onMade is called when the lock's file was not there, and has been made.
   */
  lock(path: string, timeoutMs: number, onMade?: () => void): Promise<Lock | undefined>;

  /** Ends the programs that it keeps for further commands. */
  close(): Promise<void>;

  sleep(milliseconds: number): Promise<void>;
  /** Milliseconds since the epoch, for records and logs: it jumps whenever somebody sets the clock. */
  now(): number;
  /** Milliseconds of a clock that nobody sets, for waits and durations; only differences mean anything. */
  monotonic(): number;
}
