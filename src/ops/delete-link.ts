// Deletion of links that the kernel may remove by itself at any moment.
import { commandError } from '../host/commands.ts';
import type { Host } from '../host/host.ts';

/**
 * Messages of ip about a link that is gone: it first looks up the link's number by its name ("Cannot find device") and
 * then deletes by the number (ENODEV, "No such device"). The kernel removes veths of a deleted network namespace in its
 * own time (cleanup_net), so a link can go before either of them.
 */
export const GONE = /Cannot find device|RTNETLINK answers: No such device/;

/**
 * Deletes a link that may go by itself at any moment.
 *
 * @param netns network namespace that the link is in; absent: the host's.
 * @throws OperationError when the link is still there.
 */
export async function deleteLink(host: Host, name: string, netns?: string): Promise<'removed' | 'gone'> {
  const where = netns === undefined ? [] : ['-n', netns];
  const result = await host.run(['ip', ...where, 'link', 'del', 'dev', name]);
  if (result.status === 0) return 'removed';
  if (GONE.test(result.stderr)) return 'gone';
  throw commandError(`cannot delete ${name}`, result);
}
