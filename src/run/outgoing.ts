// What an update takes away of the former version, and what of it goes last.
import { containerFolder } from '../plan/container-folder.ts';
import type { Application } from './application.ts';
import type { Change } from './changes.ts';

/** Something of the former version is taken away for it. */
export function isOutgoing({ action }: Change): boolean {
  return action === 'delete' || action === 'replace';
}

/**
 * Two kinds go when all else is done: what the container has written, which cannot be made again, and forwarding sysctls,
 * whose other users are told by links that must have lost our addresses first.
 */
export function goesLast(application: Application, change: Change): boolean {
  return holdsWrites(application, change) || isLostSysctl(change);
}

function isLostSysctl({ action, step }: Change): boolean {
  return action === 'delete' && step.op === 'sysctl';
}

/** Whether the change removes a folder of the container with its content, and the plan makes no other in its place. */
function holdsWrites({ context }: Application, { former, step }: Change): boolean {
  if (former?.op !== 'directory' || former.removal !== 'tree') return false;
  const folder = containerFolder(context.dataDir, context.container);
  if (!former.path.startsWith(`${folder}/`)) return false;
  return former === step || step.op !== 'directory' || step.path !== former.path;
}
