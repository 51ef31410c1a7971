// ps: every container with a record, and how its process is.
import { createKernelView } from '../host/kernel-view.ts';
import { listKept } from '../run/kept-data.ts';
import { createRecords, recordedSteps, type ContainerRecord, type Records } from '../run/records.ts';
import type { Session } from '../run/session.ts';
import { readBootId } from '../runtime/proc.ts';
import { readContainerState, type ContainerState } from '../runtime/container-state.ts';
import { findHolding } from '../runtime/freeze.ts';
import { containerFolder } from '../plan/container-folder.ts';
import { EXIT, type CommandContext } from './context.ts';
import { renderTable } from './render-table.ts';
import { showPorts } from './show-place.ts';

interface Row {
  readonly name: string;
  /**
   * `running`, `paused` (its cgroup is frozen), `ending` (killed, and kept by the kernel yet), `exited`, `partial` (a kill cut its apply short), `rebooted` (records of a former boot), `absent`,
   * `unreadable` (its record is damaged, or of another runspec).
   */
  readonly state: string;
  readonly pid: number | null;
  readonly exitStatus: number | null;
  readonly oom: boolean;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly address: string | null;
  readonly address6: string | null;
  /** Ports as in `0.0.0.0:8080->80/tcp` and `[::]:8080->80/tcp`: one for each family. */
  readonly ports: readonly string[];
  readonly spec: string;
}

export async function ps(context: CommandContext): Promise<number> {
  const { host, dataDir } = context;
  const bootId = await readBootId(host);
  const records = createRecords(host, dataDir, bootId);
  const view = createKernelView(host);
  const rows = await Promise.all(
    (await records.names()).map(async (name): Promise<readonly Row[]> => {
      const { record, faults } = await records.look(name);
      if (record === undefined) return faults.length === 0 ? [] : [unreadable(name)];
      return [await readRow({ host, dataDir, view, bootId }, record)];
    }),
  );
  if (context.json) context.stdout(`${JSON.stringify(rows.flat(), undefined, 2)}\n`);
  else {
    context.stdout(renderRows(rows.flat(), host.now()));
    if (!context.quiet) await tellKept(context, records);
  }
  return EXIT.done;
}

/** Tells what containers that are down have left: nothing else does. */
async function tellKept(context: CommandContext, records: Records): Promise<void> {
  const { host, dataDir } = context;
  for (const [name, kept] of await listKept({ host, dataDir, records }, await records.names())) {
    context.stderr(
      `kept of ${name}, which is down: ${kept.join(', ')}; remove with: runspec down --volumes ${name}`,
    );
  }
}

function unreadable(name: string): Row {
  return {
    name,
    state: 'unreadable',
    pid: null,
    exitStatus: null,
    oom: false,
    startedAt: null,
    finishedAt: null,
    address: null,
    address6: null,
    ports: [],
    spec: '-',
  };
}

export async function readRow(
  { host, dataDir, view, bootId }: Pick<Session, 'host' | 'dataDir' | 'view' | 'bootId'>,
  record: ContainerRecord,
): Promise<Row> {
  const state = await readContainerState(host, containerFolder(dataDir, record.name));
  const row = toRow(record, record.bootId === bootId, state);
  const step = recordedSteps(record).find(({ op }) => op === 'process');
  if (row.state !== 'running' || step?.op !== 'process') return row;
  const holding = await findHolding(host, await view.mounts(), step.cgroup);
  return holding.length === 0 ? row : { ...row, state: 'paused' };
}

function toRow(record: ContainerRecord, sameBoot: boolean, state: ContainerState): Row {
  const plan = record.applied ?? record.pending;
  const ended = state.status === 'exited';
  const time = (milliseconds: number | undefined): string | null =>
    milliseconds === undefined ? null : new Date(milliseconds).toISOString();
  return {
    name: record.name,
    state: !sameBoot
      ? 'rebooted'
      : record.pending === undefined || state.status === 'running'
        ? state.status
        : 'partial',
    pid: state.status === 'running' || state.status === 'ending' ? state.pid : null,
    exitStatus: ended ? (state.exitStatus ?? null) : null,
    oom: ended && state.oom,
    startedAt: state.status === 'absent' ? null : time(state.startedAt),
    finishedAt: ended ? time(state.finishedAt) : null,
    address: plan?.lease?.address ?? null,
    address6: plan?.lease?.address6 ?? null,
    ports: plan === undefined ? [] : showPorts(plan),
    spec: record.specFile,
  };
}

function renderRows(rows: readonly Row[], now: number): string {
  const cells = rows.map((row) => [
    row.name,
    showState(row, now),
    String(row.pid ?? '-'),
    [row.address, row.address6].filter((one) => one !== null).join(' ') || '-',
    row.ports.join(' ') || '-',
    row.spec,
  ]);
  return renderTable([['NAME', 'STATE', 'PID', 'ADDRESS', 'PORTS', 'SPEC'], ...cells]);
}

/** `exited (7) 3 s ago`. @param now milliseconds since the epoch. */
export function showState(row: Row, now: number): string {
  if (row.state === 'running' && row.startedAt !== null)
    return `running for ${showDuration(now - Date.parse(row.startedAt))}`;
  if (row.state !== 'exited') return row.state;
  const since = row.finishedAt === null ? '' : ` ${showDuration(now - Date.parse(row.finishedAt))} ago`;
  return `exited (${row.exitStatus ?? 'status unknown'}${row.oom ? ', out of memory' : ''})${since}`;
}

function showDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}
