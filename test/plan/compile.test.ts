// Every file of test/fixtures/plan is a list of cases; a new case is a new entry there.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { opOf } from '../../src/ops/index.ts';
import { compile, compileAll, type Compiled } from '../../src/plan/compile.ts';
import type { Spec } from '../../src/load/spec.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { parseStoredPlan } from '../../src/run/check-record.ts';
import { seal } from '../../src/run/seal.ts';
import { forerunners } from '../../src/plan/step-base.ts';
import { factsOf, readCases, specsOf, type Expectation, type PlanCase } from './read-cases.ts';

const compileCase = (one: PlanCase): readonly Compiled[] => compileAll(specsOf(one), factsOf(one));

const show = ({ severity, code, path, message }: Compiled['diagnostics'][number]): string =>
  `${severity} ${code} at ${path.join('.')}: ${message}`;

function check({ plan, diagnostics }: Compiled, expected: Expectation): void {
  expect(diagnostics.map(show)).toEqual(expected.problems ?? []);
  const hasErrors = diagnostics.some((diagnostic) => diagnostic.severity === 'error');
  expect(plan === undefined).toBe(hasErrors);
  for (const { hint } of diagnostics) expect(hint).toMatch(/.../);
  if (plan === undefined) return;
  const ids = plan.steps.map((step) => step.id);
  const { lease = plan.lease ?? null, runtime = plan.runtime } = expected;
  expect(plan.lease ?? null).toEqual(lease);
  expect(plan.runtime).toEqual(runtime);
  expect(plan.image).toEqual(expected.image ?? plan.image);
  for (const [id, fields] of Object.entries(expected.steps ?? {})) {
    expect(ids).toContain(id);
    const step = plan.steps.find((one) => one.id === id);
    const [absent, there] = [true, false].map((isNull) =>
      Object.fromEntries(Object.entries(fields).filter(([, value]) => (value === null) === isNull)),
    );
    expect(step).toMatchObject(there ?? {});
    for (const key of Object.keys(absent ?? {})) expect(step).not.toHaveProperty(key);
  }
  for (const id of expected.without ?? []) expect(ids).not.toContain(id);
  expect(ids.filter((id) => expected.order?.includes(id))).toEqual(expected.order ?? []);
}

describe.each(readCases())('$file', ({ cases }) => {
  test.each(cases)('$title', (one) => {
    const compiled = compileCase(one);
    const expected = Array.isArray(one.expect) ? (one.expect as Expectation[]) : [one.expect as Expectation];
    expect(compiled).toHaveLength(expected.length);
    compiled.forEach((each, index) => check(each, expected[index] as Expectation));
  });
});

describe('every plan', () => {
  const plans = readCases().flatMap(({ file, cases }) =>
    cases.flatMap((one) =>
      compileCase(one).flatMap(({ plan }) =>
        plan === undefined ? [] : [{ title: `${file}: ${one.title}: ${plan.name}`, one, plan }],
      ),
    ),
  );

  test.each(plans)('is the same from the same input: $title', ({ one, plan }) => {
    expect(compileCase(one).map((compiled) => compiled.plan)).toContainEqual(plan);
    const again = compileCase(one).find((compiled) => compiled.plan?.name === plan.name);
    expect(JSON.stringify(again?.plan)).toBe(JSON.stringify(plan));
  });

  test('has one digest for a spec without a key and with an undefined one', () => {
    const one: PlanCase = { title: '', expect: {} };
    const digests = specsOf(one).flatMap((spec) => {
      const { servers: _, ...without } = spec.dns;
      const undefinedToo = { ...without, servers: undefined } as unknown as Spec['dns'];
      return [without, undefinedToo].map((dns) => compile({ ...spec, dns }, factsOf(one)).plan?.specDigest);
    });
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(digests).size).toBe(1);
  });

  test.each(plans)('is plain JSON: $title', ({ plan }) => {
    expect(JSON.parse(JSON.stringify(plan))).toStrictEqual(plan);
  });

  test.each(plans)('has each id once, and what a step stands on before it: $title', ({ plan }) => {
    const ids = plan.steps.map((step) => step.id);
    expect(new Set(ids).size).toBe(ids.length);
    plan.steps.forEach((step, index) => {
      const before = ids.slice(0, index);
      // What a step cannot outlive is a step of the same plan.
      for (const id of step.needs) expect(before).toContain(id);
      for (const id of step.after.filter((other) => ids.includes(other))) expect(before).toContain(id);
    });
  });

  test.each(plans)(
    'has the monitor begin after the layers and in its folder, beside all else: $title',
    ({ plan }) => {
      for (const step of plan.steps) {
        if (step.op !== 'process') continue;
        const layers = plan.steps.flatMap(({ op, id }) => (op === 'layer' ? [id] : []));
        expect(forerunners(step).toSorted()).toEqual(['dir:bundle', ...layers].toSorted());
      }
    },
  );

  test.each(plans)('renders as a script that a shell accepts: $title', ({ plan }) => {
    const { status, stderr } = spawnSync('sh', ['-n'], { input: scriptOf(plan), encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test.each(plans)('can be read from its record again: $title', ({ plan, one }) => {
    const stored = { version: plan.version, bootId: 'x', plan, before: {}, specFile: 'x.yaml', at: 1 };
    const text = seal(stored);
    expect(parseStoredPlan(text, plan.name, factsOf(one).dataDir)).toEqual({ stored });
  });

  test.each(plans)('describes each step in one line: $title', ({ plan }) => {
    for (const step of plan.steps) expect(opOf(step).describe(step)).toMatch(/^[^\n]{5,}$/);
  });
});

function scriptOf(plan: Plan): string {
  return plan.steps
    .flatMap((step) => opOf(step).toShell(step))
    .map((line) => `${line}\n`)
    .join('');
}
