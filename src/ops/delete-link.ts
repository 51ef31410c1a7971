import { commandError } from '../host/commands.ts';
import type { Host } from '../host/host.ts';

/**
 * ip asks for the number of the name first ("Cannot find device") and deletes by the number then (ENODEV, "No
 * such device"). The kernel takes veths of a deleted network namespace in its own time (cleanup_net), so a link
 * can go before the one or the other.
 */
export const GONE = /Cannot find device|RTNETLINK answers: No such device/;

/**
 * Deletes a link that may go by itself at any moment.
 *
 * @param netns the network namespace that it is in; the host's without.
 * @throws OperationError when it is still there.
 */
export async function deleteLink(host: Host, name: string, netns?: string): Promise<'removed' | 'gone'> {
  const where = netns === undefined ? [] : ['-n', netns];
  const result = await host.run(['ip', ...where, 'link', 'del', 'dev', name]);
  if (result.status === 0) return 'removed';
  if (GONE.test(result.stderr)) return 'gone';
  throw commandError(`cannot delete ${name}`, result);
}
