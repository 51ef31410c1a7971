// CommandContext, which every command is given: the machine, the places, and the two ways to speak. People read stderr;
// data goes to stdout.
import type { Readable } from 'node:stream';
import type { Archives } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import type { Packing } from '../host/packing.ts';
import type { ConsoleSize } from '../load/spec.ts';

export interface CommandContext {
  readonly host: Host;
  readonly archives: Archives;
  /** Packing is loaded when it is asked for: few commands read layers back. */
  packing(): Promise<Packing>;
  readonly stateDir: string;
  readonly dataDir: string;
  /** Milliseconds to wait for another runspec. */
  readonly lockTimeout: number;
  readonly isRoot: boolean;
  /** Identifies the program as it is built, and changes with every part of it. */
  readonly build: string;
  /** Environment of the caller of runspec, for commands of the caller's. */
  readonly environment: Readonly<Record<string, string>>;
  /** Program and first arguments that start runspec itself. */
  readonly self: readonly string[];
  /** Absolute path that relative arguments start from. */
  readonly workingDirectory: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Colour on stderr. */
  readonly color: boolean;
  /** Colour on stdout: none in a pipe or a file, whatever stderr is. */
  readonly colorOfData: boolean;
  /** Fires with the signal's name as reason when the user interrupts. */
  readonly signal: AbortSignal;
  /**
   * Calls `listener` for every signal that a process in the foreground should get.
   * @returns a function that ends that.
   */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /** Writes data as it is: line ends are the caller's. */
  stdout(text: string): void;
  /** Writes a line for people. */
  stderr(line: string): void;
  /**
   * Passes on, byte for byte, what a process in the foreground writes. Resolves when that is written, or when nobody is
   * there to take it: until then the chunk is in memory, so the caller waits before it reads more.
   */
  stdoutBytes(chunk: Uint8Array): Promise<void>;
  stderrBytes(chunk: Uint8Array): Promise<void>;
  /** Fires when the reader of a pipe has had enough, as in `| head`: writing to the pipe finds that out. */
  readonly unread: { readonly stdout: AbortSignal; readonly stderr: AbortSignal };
  /** Width of the terminal that stderr is. */
  columns(): number;
  readonly stdinIsTerminal: boolean;
  /** Characters of the terminal that standard output, else stderr, is; undefined when none is or it has no size. */
  consoleSize(): ConsoleSize | undefined;
  /** Standard input as it comes; undefined when it is a terminal that is gone, or that this process may not read. */
  input(): Readable | undefined;
  /** All of standard input. */
  stdin(): Promise<Uint8Array>;
  /** All of a fifo, or of a pipe below /dev/fd. */
  pipe(path: string): Promise<Uint8Array>;
}

/** Exit statuses; `ownFailure` where `run` or `exec` could not start the process, whose own status they else give. */
export const EXIT = { done: 0, failed: 1, invalid: 2, changes: 3, busy: 4, ownFailure: 125 } as const;
