// The resources section of a document: limits in bytes and counts.
import type { SpecPath } from '../errors.ts';
import { describePath, quote } from './describe.ts';
import { parseCpuset } from './formats.ts';
import type { IoLimit as IoLimitDocument, SpecDocument } from './generated/spec-document.ts';
import { parseContainerPath } from './paths.ts';
import { accept, defined, itemsOf, type Scope } from './scope.ts';
import type { IoLimit, ResourcesSpec } from './spec.ts';
import { parseSize } from './units.ts';

/** Least limit of memory, Docker's too: an OCI runtime needs this much to set the process up inside the limit. */
const LEAST_MEMORY = 6 * 1024 ** 2;

export function normalizeResources(document: SpecDocument, scope: Scope): ResourcesSpec {
  const { resources = {} } = document;
  const { cpuset } = resources;
  const size = (key: 'memory' | 'swap'): number | undefined =>
    normalizeSize(resources[key], ['resources', key], scope);
  const memory = size('memory');
  if (memory !== undefined && memory < LEAST_MEMORY) {
    scope.report({
      code: 'out-of-range',
      message: `resources.memory ${quote(resources.memory)} is less than 6M`,
      hint: 'an OCI runtime cannot start a process in less than 6M',
      path: ['resources', 'memory'],
    });
  }
  if (resources.swap !== undefined && scope.sourceOf(['resources', 'memory']) === undefined) {
    scope.report({
      code: 'missing-key',
      message: `resources.swap ${quote(resources.swap)} needs resources.memory`,
      hint: 'add memory: swap is counted on top of it',
      path: ['resources', 'swap'],
    });
  }
  return {
    ...defined({
      cpus: resources.cpus,
      cpuset:
        cpuset === undefined
          ? undefined
          : accept(scope, 'cpuset', parseCpuset(String(cpuset)), ['resources', 'cpuset'], cpuset),
      cpuWeight: resources.cpuWeight,
      memory,
      swap: size('swap'),
      pids: resources.pids,
    }),
    io: normalizeIo(resources.io, scope),
    optional: resources.optional ?? false,
  };
}

function normalizeIo(limits: readonly IoLimitDocument[] | undefined, scope: Scope): readonly IoLimit[] {
  const seen = new Set<string>();
  return itemsOf(limits).map(([index, limit]) => {
    const path = ['resources', 'io', index];
    const device =
      accept(scope, 'absolutePath', parseContainerPath(limit.device), [...path, 'device'], limit.device) ??
      limit.device;
    if (seen.has(device)) {
      scope.report({
        code: 'duplicate-device',
        message: `${describePath(path)} limits ${device} a second time`,
        hint: 'put all limits of a device into one entry',
        path: [...path, 'device'],
      });
    }
    seen.add(device);
    const rate = (key: 'rbps' | 'wbps'): number | undefined =>
      normalizeRate(limit[key], [...path, key], scope);
    return {
      device,
      ...defined({ rbps: rate('rbps'), wbps: rate('wbps'), riops: limit.riops, wiops: limit.wiops }),
    };
  });
}

/** Rate of at least 1: 0 would mean no limit to cgroup v1 and is invalid in v2. */
function normalizeRate(value: number | string | undefined, path: SpecPath, scope: Scope): number | undefined {
  const rate = normalizeSize(value, path, scope);
  if (rate !== 0) return rate;
  scope.report({
    code: 'out-of-range',
    message: `${describePath(path)} is 0`,
    hint: 'write at least 1, or remove the key for no limit',
    path,
  });
  return undefined;
}

function normalizeSize(value: number | string | undefined, path: SpecPath, scope: Scope): number | undefined {
  return value === undefined ? undefined : accept(scope, 'size', parseSize(value), path, value);
}
