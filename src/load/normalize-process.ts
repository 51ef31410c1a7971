// The process section of a document: what runs, as whom, with which rights and limits.
import type { SpecPath } from '../errors.ts';
import { describePath } from './describe.ts';
import { parseUser } from './formats.ts';
import type { SpecDocument } from './generated/spec-document.ts';
import { parseCapability, parseSignal } from './names.ts';
import { parseContainerPath } from './paths.ts';
import { accept, defined, itemsOf, type Scope } from './scope.ts';
import type { ProcessSpec } from './spec.ts';
import { parseDuration } from './units.ts';
import { sortKeys } from './sort-keys.ts';

type Capabilities = NonNullable<NonNullable<SpecDocument['process']>['capabilities']>;

export function normalizeProcess(document: SpecDocument, scope: Scope): ProcessSpec {
  const { process = {} } = document;
  const { cwd, user, stopSignal, stopTimeout = '10s', env = {} } = process;
  const at = (key: string): SpecPath => ['process', key];
  const args =
    process.args && itemsOf(process.args).map(([index, arg]) => toText(arg, [...at('args'), index], scope));
  if (args?.[0] === '') {
    scope.report({
      code: 'empty-value',
      message: 'process.args[0] is empty',
      hint: 'write the program to run',
      path: [...at('args'), 0],
    });
  }
  return {
    ...defined({
      args,
      oomScoreAdj: process.oomScoreAdj,
      cwd: cwd && accept(scope, 'absolutePath', parseContainerPath(cwd), at('cwd'), cwd),
      user: user === undefined ? user : accept(scope, 'user', parseUser(String(user)), at('user'), user),
      stopSignal:
        stopSignal === undefined
          ? undefined
          : accept(scope, 'signal', parseSignal(stopSignal), at('stopSignal'), stopSignal),
    }),
    env: sortKeys(
      Object.entries(env).map(([name, value]) => [name, toText(value, [...at('env'), name], scope)]),
    ),
    additionalGids: itemsOf(process.additionalGids).map(([, gid]) => gid),
    terminal: process.terminal ?? false,
    noNewPrivileges: process.noNewPrivileges ?? true,
    capabilities: {
      add: normalizeCapabilities(process.capabilities, 'add', scope),
      drop: normalizeCapabilities(process.capabilities, 'drop', scope),
    },
    rlimits: normalizeRlimits(document, scope),
    stopTimeout:
      accept(scope, 'duration', parseDuration(stopTimeout), at('stopTimeout'), stopTimeout) ?? 10_000,
  };
}

/**
 * Text of a value. Numbers and booleans are taken as written, and refused when YAML readers could write them otherwise.
 */
function toText(value: string | number | boolean, path: SpecPath, scope: Scope): string {
  if (typeof value === 'string') return value;
  const source = scope.sourceOf(path) ?? String(value);
  if (source !== String(value)) {
    scope.report({
      code: 'ambiguous-value',
      message: `${describePath(path)} ${source} is the ${typeof value} ${String(value)} in YAML`,
      hint: `quote it: "${source}"`,
      path,
    });
  }
  return String(value);
}

function normalizeCapabilities(
  capabilities: Capabilities | undefined,
  key: 'add' | 'drop',
  scope: Scope,
): readonly string[] {
  const names = itemsOf(capabilities?.[key]).flatMap(([index, name]) => {
    const parsed = accept(
      scope,
      'capability',
      parseCapability(name),
      ['process', 'capabilities', key, index],
      name,
    );
    return parsed === undefined ? [] : [parsed];
  });
  return [...new Set(names)].sort();
}

function normalizeRlimits(document: SpecDocument, scope: Scope): ProcessSpec['rlimits'] {
  const rlimits = Object.entries(document.process?.rlimits ?? {});
  for (const [name, { soft, hard }] of rlimits) {
    if (soft <= hard) continue;
    scope.report({
      code: 'soft-above-hard',
      message: `process.rlimits.${name} has the soft limit ${soft} above the hard limit ${hard}`,
      hint: 'the hard limit is the ceiling: raise it or lower soft',
      path: ['process', 'rlimits', name, 'soft'],
    });
  }
  return sortKeys(rlimits.map(([name, { soft, hard }]) => [name, { soft, hard }]));
}
