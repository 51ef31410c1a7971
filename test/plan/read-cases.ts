// The cases of test/fixtures/plan: specs in the language and what their host differs in, with what is
// expected of their plans.
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { load } from '../../src/load/load.ts';
import type { Spec } from '../../src/load/spec.ts';
import type { HostFacts } from '../../src/plan/facts.ts';

const fixtures = new URL('../fixtures/', import.meta.url);

export interface PlanCase {
  readonly title: string;
  /** One spec, or several that go to the host in one call; name and rootfs are filled in. */
  readonly spec?: object;
  readonly specs?: readonly object[];
  /** Laid over fixtures/facts/host.yaml; lists are replaced, and `cgroups` may name one of cgroups.yaml. */
  readonly facts?: object;
  readonly expect: Expectation | readonly Expectation[];
}

/** Of the plan of one spec; what is left out is not looked at. */
export interface Expectation {
  readonly lease?: object | null;
  readonly runtime?: object;
  readonly image?: object;
  /** By id: fields that the step has; with `~` it has none of that name. */
  readonly steps?: Readonly<Record<string, object>>;
  /** Ids that the plan does not have. */
  readonly without?: readonly string[];
  /** Ids in the order they must come in; others may stand between. */
  readonly order?: readonly string[];
  /** All there are, as `error code at path: message`. Without any the plan must be there. */
  readonly problems?: readonly string[];
}

export function readCases(): readonly { readonly file: string; readonly cases: readonly PlanCase[] }[] {
  return readdirSync(new URL('plan/', fixtures)).map((name) => ({
    file: name.replace('.yaml', ''),
    cases: parse(readFileSync(new URL(`plan/${name}`, fixtures), 'utf8')) as readonly PlanCase[],
  }));
}

export function specsOf({ spec, specs }: PlanCase): readonly Spec[] {
  const documents = specs ?? [spec ?? {}];
  const text = documents
    .map((document) =>
      JSON.stringify({ runspec: 1, name: 'web', rootfs: { directory: '/srv/root' }, ...document }),
    )
    .join('\n---\n');
  const { specs: loaded, diagnostics } = load([{ file: 'web.yaml', baseDir: '/specs', text }]);
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((error) => error.message).join('\n'));
  return loaded.map((one) => one.spec);
}

export function factsOf({ facts = {} }: PlanCase): HostFacts {
  const all = merge(readYaml('facts/host.yaml'), facts) as Record<string, unknown>;
  // A case takes a program away with `~`.
  const programs = Object.entries(all['programs'] as object).filter(([, path]) => path !== null);
  const merged = { ...all, programs: Object.fromEntries(programs) };
  const { cgroups } = all;
  if (typeof cgroups !== 'string') return merged as unknown as HostFacts;
  const layouts = readYaml('facts/cgroups.yaml') as Record<string, unknown>;
  if (layouts[cgroups] === undefined) throw new Error(`fixtures/facts/cgroups.yaml has no ${cgroups}`);
  return { ...merged, cgroups: layouts[cgroups] } as unknown as HostFacts;
}

function readYaml(name: string): unknown {
  return parse(readFileSync(new URL(name, fixtures), 'utf8'));
}

function merge(base: unknown, over: unknown): unknown {
  if (!isObject(base) || !isObject(over)) return over;
  const keys = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries(
    [...keys].map((key) => [key, key in over ? merge(base[key], over[key]) : base[key]]),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
