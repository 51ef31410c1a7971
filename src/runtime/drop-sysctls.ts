// Sysctls that a spec has set in a network namespace and sets no longer: they get what a new namespace has.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { pathOf, parseShown } from './namespace-sysctls.ts';

/** @param namespace a file that stands for it. @throws OperationError when the kernel refuses one. */
export async function dropSysctls(host: Host, namespace: string, names: readonly string[]): Promise<void> {
  // An interface begins with what is the default for all.
  const models = names.map((name) => name.replace(/^(net\.[^.]+\.(?:conf|neigh))\.[^.]+\./, '$1.default.'));
  const { stdout } = await host.run(['unshare', '--net', 'grep', '-sH', '', ...models.map(pathOf)]);
  const fresh = parseShown(stdout, models);
  for (const [index, name] of names.entries()) {
    const value = fresh[models[index] ?? ''];
    const path = pathOf(name);
    // Of one that a new namespace has not, or hides, nothing is known; an interface may be gone by now.
    if (value === undefined) continue;
    const enter = ['nsenter', `--net=${namespace}`];
    const { argv, status, stderr } = await host.run([...enter, 'tee', path], { stdin: value });
    if (status === 0 || (await host.run([...enter, 'test', '-e', path])).status !== 0) continue;
    throw new OperationError(`cannot set ${name} back to ${value}`, { command: { argv, status, stderr } });
  }
}
