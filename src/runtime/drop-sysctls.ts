// Sysctls that a spec has set in a network namespace and sets no longer: they get the values that a new namespace has.
import { commandError } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { pathOf, parseShown } from './namespace-sysctls.ts';

/** @param namespace path of the namespace's file. @throws OperationError when the kernel refuses a value. */
export async function dropSysctls(host: Host, namespace: string, names: readonly string[]): Promise<void> {
  // A new interface gets the values of `default`, which a new namespace has in place of the interface.
  const models = names.map((name) => name.replace(/^(net\.[^.]+\.(?:conf|neigh))\.[^.]+\./, '$1.default.'));
  const shown = await host.run(['unshare', '--net', 'grep', '-sH', '', ...models.map(pathOf)]);
  // `grep -s` says nothing of files that it cannot read: text on stderr is unshare's, which has not come to start grep.
  if (shown.status === undefined || shown.stderr !== '')
    throw commandError('cannot see the sysctls of a new network namespace', shown);
  const fresh = parseShown(shown.stdout, models);
  for (const [index, name] of names.entries()) {
    const value = fresh[models[index] ?? ''];
    const path = pathOf(name);
    // Passed over: sysctls without a known value in a new namespace, and those of an interface that is gone by now.
    if (value === undefined) continue;
    const enter = ['nsenter', `--net=${namespace}`];
    const written = await host.run([...enter, 'tee', path], { stdin: value });
    if (written.status === 0 || (await host.run([...enter, 'test', '-e', path])).status !== 0) continue;
    throw commandError(`cannot set ${name} back to ${value}`, written);
  }
}
