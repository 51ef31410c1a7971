// The sysctls of a document: only those that belong to a namespace of the container's own, since any
// other would change the host or another container.
import type { NamespaceType, Spec } from './spec.ts';
import type { SpecDocument } from './generated/spec-document.ts';
import { describePath } from './describe.ts';
import { describeOwner, type Scope } from './scope.ts';
import { sortKeys } from './sort-keys.ts';

export function normalizeSysctls(
  document: SpecDocument,
  namespaces: Spec['namespaces'],
  scope: Scope,
): Record<string, string> {
  for (const [name, value] of Object.entries(document.sysctls ?? {})) {
    const path = ['sysctls', name];
    // The kernel has 64 bits, a number of JavaScript 53.
    if (typeof value === 'number' && !Number.isSafeInteger(value)) {
      const source = scope.sourceOf(path) ?? String(value);
      scope.report({
        code: 'ambiguous-value',
        message: `${describePath(path)} ${source} is too large for a number`,
        hint: `quote it: "${source}"`,
        path,
      });
    }
    const type = namespaceOf(name);
    if (name === 'kernel.hostname') {
      scope.report({
        code: 'conflict',
        message: 'sysctl kernel.hostname is set by the key hostname',
        hint: 'remove it and write `hostname:`',
        path,
        atKey: true,
      });
    } else if (type === undefined) {
      scope.report({
        code: 'sysctl-not-namespaced',
        message: `sysctl ${name} belongs to the whole host`,
        hint: 'only net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* and kernel.domainname can be set for a container',
        path,
        atKey: true,
      });
    } else if (namespaces[type].mode !== 'private') {
      scope.report({
        code: 'sysctl-not-namespaced',
        message: `sysctl ${name} would change the ${type} namespace of ${describeOwner(namespaces[type])}`,
        hint: `set namespaces.${type} to private, or remove it`,
        path,
        atKey: true,
      });
    }
  }
  return sortKeys(Object.entries(document.sysctls ?? {}).map(([name, value]) => [name, String(value)]));
}

function namespaceOf(name: string): NamespaceType | undefined {
  if (name.startsWith('net.')) return 'network';
  if (/^kernel\.(?:shm|msg)\w+$/.test(name) || name === 'kernel.sem' || name.startsWith('fs.mqueue.'))
    return 'ipc';
  return name === 'kernel.domainname' || name === 'kernel.hostname' ? 'uts' : undefined;
}
