// One call's view of the host: records, shared things and the kernel, opened together.
import type { Archives } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import { createKernelView, type KernelView } from '../host/kernel-view.ts';
import type { OpContext } from '../ops/op.ts';
import { readBootId } from '../runtime/proc.ts';
import { createRecords, type Records } from './records.ts';
import { openShared, type SharedState } from './shared.ts';

export interface Session {
  readonly host: Host;
  readonly archives: Archives;
  readonly stateDir: string;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  readonly onSignal: OpContext['onSignal'];
  readonly bootId: string;
  readonly view: KernelView;
  readonly records: Records;
  readonly shared: SharedState;
}

export async function openSession(
  places: Pick<Session, 'host' | 'archives' | 'stateDir' | 'dataDir' | 'signal' | 'onSignal'>,
  view?: KernelView,
): Promise<Session> {
  const { host, dataDir } = places;
  const bootId = await readBootId(host);
  const records = createRecords(host, dataDir, bootId);
  return {
    ...places,
    bootId,
    records,
    view: view ?? createKernelView(host),
    shared: await openShared(host, dataDir, bootId, records),
  };
}

export function opContext(session: Session, container: string, progress: (text: string) => void): OpContext {
  const { host, archives, stateDir, dataDir, signal, onSignal, view } = session;
  const reached = (): Promise<void> => Promise.resolve();
  const places = { host, archives, view, stateDir, dataDir };
  return { ...places, container, signal, onSignal, reached, progress };
}
