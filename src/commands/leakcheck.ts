// leakcheck: a picture of the host before and after any command, and what differs. Changes nothing itself.
import { UsageError } from '../errors.ts';
import { diffSnapshots, takeSnapshot, type SnapshotScope } from '../host/snapshot.ts';
import { takeInTurn } from '../host/take-in-turn.ts';
import { waitForwarding } from '../runtime/exec-process.ts';
import { requireRoot } from './require-root.ts';
import { EXIT, type CommandContext } from './context.ts';
import { renderDifference } from './render-differences.ts';

export interface LeakcheckOptions {
  /** Milliseconds to wait for what the command left to go by itself. */
  readonly settle: number;
  /** Further folders whose files count. */
  readonly folder: readonly string[];
}

/** Folders in which engines keep their state, deep enough for names of containers, networks and layers. */
const ENGINES = ['docker', 'containerd', 'containers', 'cni'].map((name) => ({
  path: `/var/lib/${name}`,
  depth: 3,
}));

/** @returns 1 when something differs, else the command's own status. */
export async function leakcheck(
  context: CommandContext,
  argv: readonly string[],
  options: LeakcheckOptions,
): Promise<number> {
  await requireRoot(context);
  const { host } = context;
  if ((await host.which(argv[0] ?? '')) === undefined)
    throw new UsageError(`there is no program ${argv[0] ?? ''}`, 'put the command after --');
  const scope: SnapshotScope = {
    folders: [
      ...['/run', '/dev/shm', context.stateDir, context.dataDir].map((path) => ({ path, depth: 8 })),
      ...options.folder.map((path) => ({ path, depth: 16 })),
      ...['/etc/hosts', '/etc/resolv.conf', '/etc/hostname'].map((path) => ({ path, depth: 0 })),
      ...ENGINES,
    ],
    ignore: [`${context.dataDir}/images`],
  };
  const before = await takeSnapshot(host, scope);
  const child = host.spawn(argv, {
    // With --json standard output has one document, so the command's own output goes to stderr.
    stdio: context.json ? ['inherit', 'pipe', 'inherit'] : ['inherit', 'inherit', 'inherit'],
    cwd: context.workingDirectory,
    env: context.environment,
  });
  if (context.json) void takeInTurn(child.pipe(1), context.stderrBytes);
  const status = await waitForwarding(child, context);
  for (const end = host.monotonic() + options.settle; ; await host.sleep(200)) {
    const differences = diffSnapshots(before, await takeSnapshot(host, scope));
    if (differences.length > 0 && host.monotonic() < end) continue;
    const clean = differences.length === 0;
    if (context.json)
      context.stdout(`${JSON.stringify({ command: argv, status, clean, differences }, undefined, 2)}\n`);
    else {
      for (const one of differences) context.stdout(`${renderDifference(context, one)}\n`);
      context.stderr(
        clean ? 'the host is as it was before' : `${differences.length} differences are left on the host`,
      );
    }
    return clean ? status : EXIT.failed;
  }
}
