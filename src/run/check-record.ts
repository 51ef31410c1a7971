// The check of a stored plan before runspec acts on it: it must have the right shape and name nothing but runspec's and
// this container's objects. A record that the disk has damaged must never lead to a removal elsewhere. Pure.
import { cgroupOf, netnsOf, OURS, ownerOf } from '../names.ts';
import { PLAN_VERSION, type OpKind, type Plan, type Step, type StepOf } from '../plan/plan.ts';
import { predecessors, type Awaits } from '../plan/step-base.ts';
import { containerFolder } from '../plan/container-folder.ts';
import { unseal } from './seal.ts';

/** Content of plan.json and pending.json. */
export interface StoredPlan {
  readonly version: number;
  readonly bootId: string;
  readonly plan: Plan;
  readonly before: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;
  /** Steps of plans that were cut short earlier, and that neither this plan nor the applied one has. */
  readonly leftover?: readonly Step[];
  /** The spec's file as given, for people; `down` never reads it. */
  readonly specFile: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export type RecordFault =
  | { readonly kind: 'unreadable' }
  /** Written by a newer runspec, which alone knows what it means. */
  | { readonly kind: 'newer' }
  /** The record belongs to a container in another data folder, as in a copy of the whole folder. */
  | { readonly kind: 'elsewhere'; readonly dataDir: string };

const UNREADABLE: RecordFault = { kind: 'unreadable' };

/** @returns the stored plan, or what is wrong with the text. */
export function parseStoredPlan(
  text: string,
  container: string,
  dataDir: string,
): { readonly stored: StoredPlan } | { readonly fault: RecordFault } {
  const value = unseal(text);
  if (!isFields(value)) return { fault: UNREADABLE };
  const { version, bootId, plan, leftover = [], before, specFile, at } = value;
  if (isFields(plan)) for (const list of [plan['steps'], leftover]) splitAwaits(list);
  if (typeof version === 'number' && version > PLAN_VERSION) return { fault: { kind: 'newer' } };
  const isWhole =
    version === PLAN_VERSION &&
    typeof bootId === 'string' &&
    typeof specFile === 'string' &&
    typeof at === 'number' &&
    isFields(before) &&
    Object.values(before).every(isBefore) &&
    isFields(plan) &&
    plan['name'] === container &&
    Array.isArray(plan['ports']);
  if (!isWhole) return { fault: UNREADABLE };
  const fault = findPlanFault(plan, leftover, container, dataDir);
  return fault === undefined ? { stored: value as unknown as StoredPlan } : { fault };
}

export function isBefore(value: unknown): value is StoredPlan['before'][string] {
  return (
    isFields(value) && Object.values(value).every((one) => /^(?:string|number|boolean)$/.test(typeof one))
  );
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function findPlanFault(
  plan: Fields,
  leftover: unknown,
  container: string,
  dataDir: string,
): RecordFault | undefined {
  const planned: unknown = plan['steps'];
  if (!isStepList(planned) || !isStepList(leftover)) return UNREADABLE;
  const steps = [...planned, ...leftover];
  if (steps.some((step) => !Object.hasOwn(FIELDS, step.op))) return { kind: 'newer' };
  const other = otherDataDir(steps, container, dataDir);
  if (other !== undefined) return { kind: 'elsewhere', dataDir: other };
  const state = steps.find((step) => step.op === 'private-mount');
  const places = { container, dataDir, stateDir: state === undefined ? undefined : state['path'] };
  const isSound = isInOrder(planned) && isInOrder(leftover) && steps.every((step) => isOwnStep(step, places));
  return isSound ? undefined : UNREADABLE;
}

/** Converts `awaits` of the first version's records, a single list of what the start of the process awaits. */
function splitAwaits(steps: unknown): void {
  if (!Array.isArray(steps)) return;
  for (const step of steps.filter(isFields))
    if (isTexts(step['awaits'])) Object.assign(step, { awaits: { create: [], start: step['awaits'] } });
}

function isStepList(value: unknown): value is readonly StepShape[] {
  return Array.isArray(value) && value.every(isStepShape);
}

/** Whether each step comes after those that it names. In a damaged record they may form a circle, a deadlock. */
function isInOrder(steps: readonly StepShape[]): boolean {
  const seen = new Set<string>();
  const ids = new Set(steps.map((step) => step.id));
  return steps.every((step) => {
    const isAhead = predecessors(step).some((id) => ids.has(id) && !seen.has(id));
    seen.add(step.id);
    return !isAhead;
  });
}

/** Whether the value is a sound step of shared.json, which belongs to no container alone. */
export function isSharedStep(step: unknown, dataDir: string): step is Step {
  if (!isStepShape(step) || !Object.hasOwn(FIELDS, step.op)) return false;
  return step['shared'] === true && isOwnStep(step, { container: '', dataDir, stateDir: undefined });
}

type StepShape = Pick<Step, 'id' | 'op' | 'needs' | 'after' | 'with' | 'awaits'> & Fields;

function isStepShape(value: unknown): value is StepShape {
  return (
    isFields(value) &&
    typeof value['id'] === 'string' &&
    typeof value['op'] === 'string' &&
    isTexts(value['needs']) &&
    isTexts(value['after']) &&
    (value['with'] === undefined || isTexts(value['with'])) &&
    (value['awaits'] === undefined || isAwaits(value['awaits']))
  );
}

function isAwaits(value: unknown): value is Awaits {
  return isFields(value) && isTexts(value['create']) && isTexts(value['start']);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/** The data folder in which the steps have the container's records; undefined when it is this one, or is not known. */
function otherDataDir(steps: readonly StepShape[], container: string, dataDir: string): string | undefined {
  const records = steps.find((step) => step.op === 'process')?.['records'];
  const end = `/containers/${container}`;
  if (typeof records !== 'string' || !records.endsWith(end)) return undefined;
  const found = records.slice(0, -end.length);
  return found === dataDir ? undefined : found;
}

interface Places {
  readonly container: string;
  readonly dataDir: string;
  readonly stateDir: unknown;
}

/**
 * Kinds of values that the fields of a step have. `text` is never empty, `content` may be. `own` is a path in the data
 * folder or in the container's folders; `tree` is one in the container's folders only, and may be removed with all
 * below it; `absolute` may be any path. `cgroup` and `netns` are this container's names, `owner` is its mark or that of
 * shared objects.
 */
type Kind =
  | 'text'
  | 'content'
  | 'number'
  | 'list'
  | 'object'
  | 'own'
  | 'tree'
  | 'absolute'
  | 'cgroup'
  | 'netns'
  | 'link'
  | 'owner'
  | 'sysctl';

/** The fields of each kind of step that are needed to revert it. */
const FIELDS: { readonly [K in OpKind]: { readonly [P in keyof StepOf<K>]?: Kind } } = {
  address: { netns: 'netns', interface: 'text', address: 'text' },
  bridge: { name: 'text', address: 'text' },
  bundle: { path: 'tree' },
  cgroup: { path: 'cgroup', hierarchies: 'list' },
  'container-sysctls': { records: 'own', path: 'tree', sysctls: 'object' },
  controller: { mountpoint: 'absolute', controller: 'text' },
  'docker-user': { link: 'link', comment: 'owner' },
  directory: { path: 'own', mode: 'number', removal: 'text' },
  file: { path: 'tree', text: 'content' },
  layer: { layer: 'object' },
  mountpoints: { path: 'tree', lower: 'list', targets: 'list' },
  netns: { name: 'netns' },
  'netns-folder': {},
  'nft-element': { table: 'text', set: 'text', key: 'text', comment: 'text' },
  'nft-ingress': { table: 'netns', link: 'text' },
  'nft-table': { table: 'text', sets: 'list', chains: 'list' },
  overlay: { target: 'tree', lower: 'list' },
  'private-mount': { path: 'absolute' },
  process: {
    container: 'text',
    bundle: 'tree',
    runtime: 'object',
    runtimeRoot: 'tree',
    records: 'own',
    log: 'tree',
    stopSignal: 'text',
    stopTimeout: 'number',
    cgroup: 'cgroup',
  },
  sysctl: { key: 'sysctl', value: 'text' },
  veth: { link: 'text', alias: 'text', netns: 'netns' },
};

function isOwnStep(step: StepShape, places: Places): boolean {
  const fields: Readonly<Record<string, Kind>> = FIELDS[step.op];
  const isWhole = Object.entries(fields).every(([property, kind]) => fits(step[property], kind, places));
  return isWhole && (step.op !== 'directory' || isRemovable(step, places));
}

function fits(value: unknown, kind: Kind, places: Places): boolean {
  if (kind === 'list') return Array.isArray(value) && value.every((one) => one !== null);
  if (kind === 'object') return isFields(value);
  if (kind === 'number') return typeof value === 'number';
  if (typeof value !== 'string') return false;
  switch (kind) {
    case 'text':
      return value !== '';
    case 'content':
      return true;
    case 'absolute':
      return isPlain(value);
    case 'own':
      return isPlain(value) && (isBelow(value, places.dataDir) || isOfContainer(value, places));
    case 'tree':
      return isPlain(value) && isOfContainer(value, places);
    case 'cgroup':
      return value === cgroupOf(places.container);
    case 'netns':
      return value === netnsOf(places.container);
    case 'link':
      return /^[^\s/"]{1,15}$/.test(value);
    case 'owner':
      return value === OURS || value === ownerOf(places.container);
    case 'sysctl':
      return !value.includes('/');
  }
}

/**
 * Whether the folder may be removed as the step says: with its content only if it is one of the container's own
 * folders, and at `--volumes` only if it is a writable layer or a volume.
 */
function isRemovable(step: StepShape, places: Places): boolean {
  const { removal, path } = step as unknown as StepOf<'directory'>;
  if (removal === 'tree') return isOfContainer(path, places);
  const { dataDir } = places;
  return removal !== 'volume' || isBelow(path, `${dataDir}/writable`) || isBelow(path, `${dataDir}/volumes`);
}

function isOfContainer(path: string, { container, dataDir, stateDir }: Places): boolean {
  const folders = [containerFolder(dataDir, container)];
  if (typeof stateDir === 'string') folders.push(`${stateDir}/${container}`);
  return folders.some((folder) => path === folder || isBelow(path, folder));
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** Whether the path is absolute and has no `..` or other part by which it would lead elsewhere. */
function isPlain(path: string): boolean {
  return /^(?:\/[^/]+)+$/.test(path) && !/\/\.\.?(?:\/|$)/.test(path);
}
