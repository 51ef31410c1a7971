// Sysctls that a spec has set in a network namespace and sets no longer: they get what a new namespace has.
import { commandError } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { pathOf, parseShown } from './namespace-sysctls.ts';

/** @param namespace a file that stands for it. @throws OperationError when the kernel refuses one. */
export async function dropSysctls(host: Host, namespace: string, names: readonly string[]): Promise<void> {
  // An interface begins with what is the default for all.
  const models = names.map((name) => name.replace(/^(net\.[^.]+\.(?:conf|neigh))\.[^.]+\./, '$1.default.'));
  const shown = await host.run(['unshare', '--net', 'grep', '-sH', '', ...models.map(pathOf)]);
  // grep says nothing of files that it cannot read: who speaks has not come to it.
  if (shown.status === undefined || shown.stderr !== '')
    throw commandError('cannot see the sysctls of a new network namespace', shown);
  const fresh = parseShown(shown.stdout, models);
  for (const [index, name] of names.entries()) {
    const value = fresh[models[index] ?? ''];
    const path = pathOf(name);
    // Of one that a new namespace has not, or hides, nothing is known; an interface may be gone by now.
    if (value === undefined) continue;
    const enter = ['nsenter', `--net=${namespace}`];
    const written = await host.run([...enter, 'tee', path], { stdin: value });
    if (written.status === 0 || (await host.run([...enter, 'test', '-e', path])).status !== 0) continue;
    throw commandError(`cannot set ${name} back to ${value}`, written);
  }
}
