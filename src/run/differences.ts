// What differs between two versions of a step, in the words of specs and of the kernel's files. Pure.
import type { CgroupStep, Step } from '../plan/plan.ts';

const ORDER_ONLY = new Set(['id', 'op', 'needs', 'after', 'with', 'awaits', 'shared']);

/** Names of the differing properties, such as `mtu`, or `process.args` in the configuration of a bundle. */
export function differingProperties(former: Step, step: Step, passive: readonly string[]): readonly string[] {
  const names = [...new Set([...Object.keys(former), ...Object.keys(step)])].filter(
    (property) => !ORDER_ONLY.has(property) && !passive.includes(property),
  );
  // With other layers a folder gets another path, which would explain nothing beside the layers.
  const isOverOthers = !isSame(field(former, 'layers'), field(step, 'layers'));
  return names.flatMap((name) => {
    if (name === 'path' && isOverOthers) return [];
    const [before, after] = [field(former, name), field(step, name)];
    if (isSame(before, after)) return [];
    if (name === 'config') return differingPaths(before, after);
    if (former.op === 'cgroup' && step.op === 'cgroup' && name === 'hierarchies')
      return differingLimits(former, step);
    return [name];
  });
}

/** Names of the differing limit files, such as `memory.max`; `hierarchies` when only the hierarchies differ. */
function differingLimits(former: CgroupStep, step: CgroupStep): readonly string[] {
  const limits = ({ hierarchies }: CgroupStep): ReadonlyMap<string, string> =>
    new Map(hierarchies.flatMap(({ files }) => files.map(({ name, value }) => [name, value])));
  const [before, after] = [limits(former), limits(step)];
  const names = [...new Set([...before.keys(), ...after.keys()])];
  const differing = names.filter((name) => before.get(name) !== after.get(name));
  return differing.length === 0 ? ['hierarchies'] : differing;
}

function differingPaths(before: unknown, after: unknown, path: readonly string[] = []): readonly string[] {
  if (isSame(before, after)) return [];
  const isMap = (value: unknown): value is object =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  // Paths have at most two parts, such as `linux.seccomp`: what is deeper is not in the words of a spec.
  if (!isMap(before) || !isMap(after) || path.length >= 2) return [path.join('.')];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => differingPaths(field(before, name), field(after, name), [...path, name]));
}

function field(of: object, name: string): unknown {
  return (of as Readonly<Record<string, unknown>>)[name];
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
