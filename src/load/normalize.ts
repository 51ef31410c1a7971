// Normalizes a valid document to a Spec: defaults, absolute paths, bytes and milliseconds, one spelling for each
// meaning. Reports problems that the schema cannot express. Pure: nothing of the machine is looked at.
import { parseHostname, parseNamespace, parseRuntime } from './formats.ts';
import type { SpecDocument } from './generated/spec-document.ts';
import { normalizeDns, normalizeNetwork } from './normalize-network.ts';
import { normalizeProcess } from './normalize-process.ts';
import { normalizeResources } from './normalize-resources.ts';
import { normalizeLayers, normalizeMounts, normalizeRootfs } from './normalize-storage.ts';
import { normalizeSysctls } from './normalize-sysctls.ts';
import { parseContainerPath, parseHostPath } from './paths.ts';
import { accept, describeOwner, itemsOf, type Scope } from './scope.ts';
import { settleIpv6 } from './settle-ipv6.ts';
import type { NamespaceMode, NamespaceType, SecuritySpec, Spec } from './spec.ts';

const NAMESPACE_TYPES: readonly NamespaceType[] = ['network', 'pid', 'ipc', 'uts', 'mount', 'cgroup'];

export function normalize(document: SpecDocument, scope: Scope): Spec {
  const namespaces = normalizeNamespaces(document, scope);
  const sysctls = normalizeSysctls(document, namespaces, scope);
  return {
    name: document.name,
    hostname: normalizeHostname(document, namespaces, scope),
    rootfs: normalizeRootfs(document, scope),
    readonlyRootfs: document.rootfs.readonly ?? false,
    layers: normalizeLayers(document, scope),
    writable: normalizeWritable(document, scope),
    process: normalizeProcess(document, scope),
    namespaces,
    resources: normalizeResources(document, scope),
    network: settleIpv6(normalizeNetwork(document, namespaces, scope), sysctls, scope),
    dns: normalizeDns(document, scope),
    mounts: normalizeMounts(document, scope),
    devices: normalizeDevices(document, scope),
    sysctls,
    security: normalizeSecurity(document, scope),
    runtime:
      accept(
        scope,
        'runtime',
        parseRuntime(document.runtime ?? 'auto', scope.baseDir),
        ['runtime'],
        document.runtime,
      ) ?? 'auto',
  };
}

function normalizeHostname(document: SpecDocument, namespaces: Spec['namespaces'], scope: Scope): string {
  const { hostname } = document;
  if (hostname === undefined) return document.name;
  if (namespaces.uts.mode !== 'private') {
    scope.report({
      code: 'conflict',
      message: `hostname "${hostname}" would change the uts namespace of ${describeOwner(namespaces.uts)}`,
      hint: 'remove hostname, or set namespaces.uts to private',
      path: ['hostname'],
    });
  }
  return accept(scope, 'hostname', parseHostname(hostname), ['hostname'], hostname) ?? document.name;
}

function normalizeWritable(document: SpecDocument, scope: Scope): Spec['writable'] {
  if (document.writable === 'persistent' && document.rootfs.readonly === true) {
    scope.report({
      code: 'conflict',
      message: 'writable is "persistent", but rootfs.readonly keeps the container from writing',
      hint: 'remove one of the two',
      path: ['writable'],
    });
  }
  return document.writable ?? 'ephemeral';
}

function normalizeNamespaces(document: SpecDocument, scope: Scope): Spec['namespaces'] {
  const modes = NAMESPACE_TYPES.map((type): [NamespaceType, NamespaceMode] => {
    const input = document.namespaces?.[type];
    // `network.mode: host` and `namespaces.network: host` are two words for one thing.
    if (input === undefined)
      return [type, { mode: type === 'network' && document.network?.mode === 'host' ? 'host' : 'private' }];
    const path = ['namespaces', type];
    const mode = accept(scope, 'namespace', parseNamespace(input), path, input) ?? { mode: 'private' };
    if (mode.mode === 'container' && mode.container === document.name) {
      scope.report({
        code: 'bad-namespace',
        message: `namespaces.${type} "${input}" is the container itself`,
        hint: 'write private, or the name of another container',
        path,
      });
    }
    return [type, mode];
  });
  return Object.fromEntries(modes) as Record<NamespaceType, NamespaceMode>;
}

function normalizeDevices(document: SpecDocument, scope: Scope): readonly string[] {
  const devices = itemsOf(document.devices).map(([index, device]) => {
    // The same path names the device on the host and in the container.
    const parsed = parseContainerPath(device);
    return accept(scope, 'absolutePath', parsed, ['devices', index], device) ?? device;
  });
  return [...new Set(devices)];
}

function normalizeSecurity(document: SpecDocument, scope: Scope): SecuritySpec {
  const { seccomp = 'default', maskedPaths = 'default', readonlyPaths = 'default' } = document.security ?? {};
  const keyword = seccomp === 'default' || seccomp === 'unconfined';
  return {
    seccomp: keyword
      ? seccomp
      : (accept(scope, 'path', parseHostPath(seccomp, scope.baseDir), ['security', 'seccomp'], seccomp) ??
        'default'),
    maskedPaths: normalizePathList(maskedPaths, 'maskedPaths', scope),
    readonlyPaths: normalizePathList(readonlyPaths, 'readonlyPaths', scope),
  };
}

function normalizePathList(
  list: string | readonly string[],
  key: string,
  scope: Scope,
): 'default' | readonly string[] {
  if (typeof list === 'string') return 'default';
  return itemsOf(list).map(
    ([index, path]) =>
      accept(scope, 'absolutePath', parseContainerPath(path), ['security', key, index], path) ?? path,
  );
}
