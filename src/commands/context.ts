// What every command is given: the machine, the places, and the two ways to speak. People read stderr;
// data goes to stdout.
import type { Readable } from 'node:stream';
import type { Archives } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import type { Packing } from '../host/packing.ts';
import type { ConsoleSize } from '../load/spec.ts';

export interface CommandContext {
  readonly host: Host;
  readonly archives: Archives;
  /** Loaded when it is asked for: few commands read layers back. */
  packing(): Promise<Packing>;
  readonly stateDir: string;
  readonly dataDir: string;
  /** Milliseconds to wait for another runspec. */
  readonly lockTimeout: number;
  readonly isRoot: boolean;
  /** Names the program as it is built, and changes with every part of it. */
  readonly build: string;
  /** Of whoever called runspec, for commands of theirs. */
  readonly environment: Readonly<Record<string, string>>;
  /** What starts runspec itself, without arguments. */
  readonly self: readonly string[];
  /** Absolute; relative arguments are taken from here. */
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
  /** Calls `listener` for every signal that a process in the foreground should get, until the function it gives is called. */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /** Data, as it is: line ends are the caller's. */
  stdout(text: string): void;
  /** A line for people. */
  stderr(line: string): void;
  /**
   * What a process in the foreground writes, byte for byte. Resolves when it has been passed on, or nobody is there to take
   * it: until then it is in memory, so whoever has more waits.
   */
  stdoutBytes(chunk: Uint8Array): Promise<void>;
  stderrBytes(chunk: Uint8Array): Promise<void>;
  /** Fires when the reader of a pipe has had enough, as in `| head`: found out by writing to it. */
  readonly unread: { readonly stdout: AbortSignal; readonly stderr: AbortSignal };
  /** Of the terminal that stderr is. */
  columns(): number;
  readonly stdinIsTerminal: boolean;
  /** Of the terminal that standard output or else stderr is, in characters; undefined when none is or it has no size. */
  consoleSize(): ConsoleSize | undefined;
  /** Standard input as it comes; undefined when it is a terminal that this process may not read, or that is gone. */
  input(): Readable | undefined;
  /** All of standard input. */
  stdin(): Promise<Uint8Array>;
  /** All of a fifo, or of a pipe below /dev/fd. */
  pipe(path: string): Promise<Uint8Array>;
}

/** Exit statuses: DESIGN section 3. */
export const EXIT = { done: 0, failed: 1, invalid: 2, changes: 3, busy: 4, ownFailure: 125 } as const;
