// A host without one of the cgroup controllers.
import fs from 'node:fs';
import type { TestHost } from './test-host.ts';

/**
 * In this host alone: it unmounts its own mount of a v1 hierarchy, or covers the list of the v2 one.
 * @returns what shows it again.
 */
export async function hideController(host: TestHost, controller: string): Promise<() => Promise<string>> {
  const mount = `/sys/fs/cgroup/${controller}`;
  if (fs.existsSync(mount)) {
    await host.output(['umount', mount]);
    return () => host.output(['mount', '-t', 'cgroup', '-o', controller, 'cgroup', mount]);
  }
  const list = '/sys/fs/cgroup/cgroup.controllers';
  const others = fs.readFileSync(list, 'utf8').replace(new RegExp(`\\b${controller} ?`), '');
  await host.output(['mount', '--bind', host.write('controllers', others), list]);
  return () => host.output(['sh', '-euc', `umount ${list}; rm controllers`]);
}
