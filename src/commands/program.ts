// The command line: options and commands as users type them. Each command is loaded when it is called.
import { Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../load/units.ts';
import { EXIT, type CommandContext } from './context.ts';
import { passOverEmptyVariables, refuseEmptyOperands } from './empty-values.ts';
import { endOptions } from './end-options.ts';
import { addImageCommands } from './image-commands.ts';
import { absolutePath } from './working-directory.ts';

export interface Globals {
  readonly stateDir: string;
  readonly dataDir: string;
  /** Milliseconds. */
  readonly lockTimeout: number;
  /** Limits as the user wrote them. */
  readonly archiveLimits?: string;
  readonly json: boolean;
  /** With `json`: one event a line, not one document. */
  readonly events: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
}

export type MakeContext = (globals: Globals) => Promise<CommandContext>;

/** @returns a function that runs argv and resolves to the exit status. */
export function createProgram(
  version: string,
  makeContext: MakeContext,
  writeOut: (text: string) => void,
): (argv: readonly string[]) => Promise<number> {
  let status = 0;
  const program = new Command('runspec')
    .description(
      'A declarative, daemonless container runner: apply a spec, see every change, take it down without residue.',
    )
    .version(version, '-V, --version')
    .addOption(
      new Option('--state-dir <dir>', 'mounts and sockets; gone with a reboot')
        .env('RUNSPEC_STATE_DIR')
        .default('/run/runspec'),
    )
    .addOption(
      new Option('--data-dir <dir>', 'images, records, volumes')
        .env('RUNSPEC_DATA_DIR')
        .default('/var/lib/runspec'),
    )
    .addOption(
      new Option('--lock-timeout <duration>', 'how long to wait for another runspec')
        .argParser(parseTimeout)
        .default(60_000, '60s'),
    )
    .addOption(
      new Option(
        '--archive-limits <limits>',
        'what an archive or layer may unpack to: bytes=64G,entries=1000000,ratio=250',
      ).env('RUNSPEC_ARCHIVE_LIMITS'),
    )
    .option('--quiet', 'no progress on stderr', false)
    .option('--verbose', 'more progress on stderr', false)
    .option('--no-color', 'no colour on stderr (also NO_COLOR)')
    .exitOverride()
    .hook('preAction', (_, called) => refuseEmptyOperands(called))
    .configureOutput({ outputError: () => undefined, writeOut })
    .configureHelp({ optionDescription: describeOption });

  const command = (usage: string, description: string): Command =>
    program.command(usage).description(description).exitOverride();
  const context = (json = false, events = false): Promise<CommandContext> => {
    const { stateDir, dataDir, ...rest } = program.opts<Omit<Globals, 'json' | 'events'>>();
    return makeContext({
      ...rest,
      json,
      events,
      stateDir: absolutePath(stateDir),
      dataDir: absolutePath(dataDir),
    });
  };

  const commands: Readonly<Record<string, () => unknown>> = {
    validate: () =>
      command('validate <spec...>', 'report every problem of the specs at once')
        .option('--json', 'problems as JSON', false)
        .action(async (specs: string[], options: { json: boolean }) => {
          const { validate } = await import('./validate.ts');
          status = await validate(await context(options.json), specs);
        }),
    plan: () =>
      command('plan <spec...>', 'show what apply would do, down to kernel objects; changes nothing')
        .option('--json', 'the plan as JSON', false)
        .option('--exit-code', 'exit with 3 when there is something to do', false)
        .option('--script', 'the plan as a shell script, for reading', false)
        .action(async (specs: string[], options: { json: boolean; exitCode: boolean; script: boolean }) => {
          const { plan } = await import('./plan.ts');
          status = await plan(await context(options.json), specs, options);
        }),
    apply: () =>
      command('apply <spec...>', 'converge the host to the specs')
        .option('--json', 'one JSON event a line', false)
        .option('--keep-on-failure', 'leave what was made when a step fails, for a look at it', false)
        .option('--locked', 'refuse archives and images that runspec.lock does not name', false)
        .option('--prove', 'keep a picture of the host from before, for down --prove', false)
        .action(
          async (
            specs: string[],
            options: { json: boolean; keepOnFailure: boolean; prove: boolean; locked: boolean },
          ) => {
            const { apply } = await import('./apply.ts');
            status = await apply(await context(options.json, true), specs, options);
          },
        ),
    lock: () =>
      command('lock <spec...>', 'write digest and size of each image and archive to runspec.lock')
        .option('--json', 'as JSON', false)
        .action(async (specs: string[], options: { json: boolean }) => {
          const { lock } = await import('./lock.ts');
          status = await lock(await context(options.json), specs);
        }),
    run: () =>
      command(
        'run <spec> [args...]',
        'in the foreground: apply, attach, forward signals, exit with its status, down',
      )
        .option('--json', 'one JSON event a line, what the process writes among them', false)
        .action(async (spec: string, args: string[], options: { json: boolean }) => {
          const { run } = await import('./run.ts');
          status = await run(await context(options.json, true), spec, args);
        }),
    down: () =>
      command('down [targets...]', 'reverse what was applied, by name or spec')
        .option('--all', 'every container', false)
        .option('--volumes', 'volumes and persistent writable layers too', false)
        .option(
          '--prove',
          'compare the host with what it was before apply --prove; exit with 1 on residue',
          false,
        )
        .option('--abandoned', 'only what a run left that was killed', false)
        .option('--json', 'one JSON event a line', false)
        .action(
          async (
            targets: string[],
            options: { all: boolean; volumes: boolean; prove: boolean; abandoned: boolean; json: boolean },
          ) => {
            const { down } = await import('./down.ts');
            status = await down(await context(options.json, true), targets, options);
          },
        ),
    gc: () =>
      command('gc', 'remove what is on the host without a record that tells of it')
        .option('--dry-run', 'only say what that is', false)
        .option('--json', 'as JSON', false)
        .action(async (options: { dryRun: boolean; json: boolean }) => {
          const { gc } = await import('./gc.ts');
          status = await gc(await context(options.json), options);
        }),
    leakcheck: () =>
      command('leakcheck <command...>', 'run any command and say what it left on the host')
        .addOption(
          new Option('--settle <duration>', 'how long what it left may take to go')
            .argParser(parseTimeout)
            .default(5000, '5s'),
        )
        .option('--folder <dir>', 'files below it count too (repeatable)', collect, [])
        .option('--json', 'as JSON', false)
        .action(async (argv: string[], options: { settle: number; folder: string[]; json: boolean }) => {
          const { leakcheck } = await import('./leakcheck.ts');
          status = await leakcheck(await context(options.json), argv, {
            ...options,
            folder: options.folder.map(absolutePath),
          });
        }),
    ps: () =>
      command('ps', 'list containers')
        .option('--json', 'as JSON', false)
        .action(async (options: { json: boolean }) => {
          const { ps } = await import('./ps.ts');
          status = await ps(await context(options.json));
        }),
    status: () =>
      command('status <name>', "compare a container's steps with the kernel; exit with 3 on drift")
        .option('--json', 'as JSON', false)
        .action(async (name: string, options: { json: boolean }) => {
          const { status: showStatus } = await import('./status.ts');
          status = await showStatus(await context(options.json), name);
        }),
    exec: () =>
      command('exec <name> <command...>', 'run a command in a container')
        .option('-i, --interactive', 'pass standard input on (with -t it always is)', false)
        .option('-t, --tty', 'with a terminal', false)
        .option('-u, --user <user>', 'uid[:gid] or names')
        .option('-e, --env <key[=value]>', 'set a variable, or pass it on', collect, [])
        .option('-w, --cwd <dir>', 'working folder')
        .action(async (name: string, argv: string[], options: ExecFlags) => {
          const { exec } = await import('./exec.ts');
          const { user, cwd, ...rest } = options;
          status = await exec(await context(), name, argv, {
            ...rest,
            ...(user === undefined ? {} : { user }),
            ...(cwd === undefined ? {} : { cwd }),
          });
        }),
    logs: () =>
      command('logs <name>', 'stdout and stderr of the process')
        .option('-f, --follow', 'go on until the container ends', false)
        .option('--tail <lines>', 'only the last lines', parseCount)
        .option('--timestamps', 'with the time of each line', false)
        .action(async (name: string, options: { follow: boolean; tail?: number; timestamps: boolean }) => {
          const { logs } = await import('./logs.ts');
          status = await logs(await context(), name, options);
        }),
    commit: () =>
      command('commit <name>', 'keep what a container is and what it changed as an image or an archive')
        .requiredOption('-o, --output <ref>', 'oci:DIR[:TAG], docker-archive:FILE[:REF] or FILE.tar.gz')
        .option('--no-pause', 'let its processes go on meanwhile')
        .option('--json', 'as JSON', false)
        .action(async (name: string, options: { output: string; pause: boolean; json: boolean }) => {
          const { commit } = await import('./commit.ts');
          status = await commit(await context(options.json), name, options);
        }),
    diff: () =>
      command('diff <name>', 'files that a container added (A), changed (C) and deleted (D)')
        .option('--json', 'as JSON', false)
        .action(async (name: string, options: { json: boolean }) => {
          const { diff } = await import('./diff.ts');
          status = await diff(await context(options.json), name);
        }),
    image: () => addImageCommands(program, context, (result) => (status = result)),
    schema: () =>
      command('schema', 'print the JSON Schema of the spec language').action(async () => {
        const { schema } = await import('./schema.ts');
        status = await schema(await context());
      }),
    doctor: () =>
      command('doctor', 'say what this host has and what is missing')
        .option('--json', 'as JSON', false)
        .action(async (options: { json: boolean }) => {
          const { doctor } = await import('./doctor.ts');
          status = await doctor(await context(options.json));
        }),
    completion: () =>
      command('completion <shell>', 'print a completion script for bash, zsh or fish').action(
        async (shell: string) => {
          const { completion } = await import('./completion.ts');
          status = completion(await context(), shell, program);
        },
      ),
  };

  return async (argv) => {
    for (const name of namesIn(argv, Object.keys(commands))) commands[name]?.();
    passOverEmptyVariables(program);
    if (argv[0] === 'help') (await import('./explain-usage.ts')).refuseUnknownTopic(argv, program);
    try {
      await program.parseAsync([...endOptions(argv, program)], { from: 'user' });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      if (error.exitCode === 0) return 0;
      // commander has shown the help: asked to, or called without a command.
      if (error.code === 'commander.help') return argv.includes('help') ? EXIT.done : EXIT.invalid;
      const { explainUsage } = await import('./explain-usage.ts');
      throw explainUsage(error, program, argv);
    }
    return status;
  };
}

/** Building one command instead of all saves 3 ms; help, completion and suggestions need all of them. */
function namesIn(argv: readonly string[], all: readonly string[]): readonly string[] {
  const [first = ''] = argv;
  return first !== 'completion' && all.includes(first) ? [first] : all;
}

/** Describes an option with its default, unless that only says that the option was not given. */
function describeOption(this: Help, option: Option): string {
  const isOff = option.defaultValue === false || Array.isArray(option.defaultValue);
  return isOff ? option.description : Help.prototype.optionDescription.call(this, option);
}

export interface ExecFlags {
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly user?: string;
  readonly env: readonly string[];
  readonly cwd?: string;
}

function parseTimeout(text: string): number {
  const parsed = parseDuration(/^[\d.]+$/.test(text) ? `${text}s` : text);
  if ('value' in parsed) return parsed.value;
  throw new InvalidArgumentError('use a duration such as 500ms, 10s, 2m or 1h.');
}

function parseCount(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('use a number of lines.');
  return Number(text);
}

const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];
