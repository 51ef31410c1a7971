// The topmost read-only layer: real folders and files for every place something is mounted on. With no
// symlink left in any component, no image can lead a mount or a generated file to the host.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { makeEmptyFile, makeFolders } from '../image/make-path.ts';
import { mendFolders } from '../image/mend-folders.ts';
import { mergeLayers, resolveInLayers, type MergedLayers, type PathStep } from '../image/resolve-path.ts';
import type { Mountpoint, MountpointsStep } from '../plan/plan.ts';
import type { Difference, Op, OpContext } from './op.ts';
import { quote, quoteAll } from './shell.ts';

export const mountpoints: Op<'mountpoints'> = {
  describe: (step) => `mount points ${step.targets.map((target) => target.path).join(' ')} in ${step.path}`,

  async probe({ host }, step) {
    if ((await host.status(step.path)) === undefined) return { state: 'absent' };
    const differences: Difference[] = [];
    const merged = await mergeLayers(host, [...step.lower, step.path]);
    for (const target of inOrder(step.targets)) {
      const steps = await locate(merged.resolve, target);
      const found = await typeInLayer(host, step.path, steps);
      if (found !== target.type) differences.push({ property: target.path, wanted: target.type, found });
    }
    // A layer below a live overlay must not change: it is made anew with everything above it.
    if (differences.length > 0) return { state: 'drifted', inPlace: false, differences };
    return { state: 'present' };
  },

  check: (context, step, trial) => makeMountpoints(context, { ...step, path: trial.mountpoints }),

  apply: makeMountpoints,

  revert: async ({ host }, step) => ({ outcome: (await host.removeTree(step.path)) ? 'removed' : 'gone' }),

  toShell: (step) => [
    quoteAll(['mkdir', '-p', step.path]),
    ...inOrder(step.targets).flatMap(({ path, type, mode }) => {
      const place = `${step.path}${path}`;
      if (type === 'directory')
        return [
          quoteAll(['mkdir', '-p', place]),
          ...(mode === undefined ? [] : [quoteAll(['chmod', mode.toString(8), place])]),
        ];
      return [`mkdir -p ${quote(place.slice(0, place.lastIndexOf('/')))}`, quoteAll(['touch', place])];
    }),
  ],
};

async function makeMountpoints(context: OpContext, step: MountpointsStep): Promise<void> {
  const { host } = context;
  // What a kill left half done may lack its modes: begin anew. Nothing is mounted over it yet.
  await host.removeTree(step.path);
  await host.makeDirectory(step.path, { mode: 0o755, uid: 0, gid: 0 });
  await mendFolders(context, step.lower, step.path);
  // Looked up anew each time: every target changes the topmost layer.
  const resolve: Resolve = (path, options) =>
    resolveInLayers(host, [...step.lower, step.path], path, options);
  for (const target of inOrder(step.targets)) {
    const steps = await locate(resolve, target);
    if (target.symlinks === 'resolve') refuseToLieInFile(steps, target);
    if (target.type === 'directory') {
      const folder = await makeFolders(host, step.path, steps);
      if (target.mode !== undefined) await host.setMode(folder, target.mode);
      continue;
    }
    await makeFolders(host, step.path, steps.slice(0, -1));
    await makeEmptyFile(host, step.path, steps);
  }
}

/** The runtime's own places first: they hide symlinks through which the others would otherwise be led. */
function inOrder(targets: readonly Mountpoint[]): readonly Mountpoint[] {
  const rank = ({ symlinks, type }: Mountpoint): number =>
    (symlinks === 'replace' ? 0 : 2) + (type === 'directory' ? 0 : 1);
  return targets.toSorted((a, b) => rank(a) - rank(b));
}

/** Refuses a target below what is no folder: folders made in the topmost layer would hide what the image has there. */
function refuseToLieInFile(steps: readonly PathStep[], { path }: Mountpoint): void {
  const index = steps.findIndex(({ status }) => status !== undefined && status.type !== 'directory');
  if (index === -1 || index === steps.length - 1) return;
  const place = steps.slice(0, index + 1).map(({ name }) => `/${name}`);
  throw new OperationError(
    `the mount on ${path} would lie in ${place.join('')}, which in the root file system is a ${steps[index]?.status?.type}`,
    { destination: path, hint: 'mount it on another path' },
  );
}

type Resolve = MergedLayers['resolve'];

async function locate(resolve: Resolve, target: Mountpoint): Promise<readonly PathStep[]> {
  const literal = target.path.split('/').filter((part) => part !== '' && part !== '.');
  if (literal.includes('..')) throw new OperationError(`mount point ${target.path} must not contain ..`);
  if (target.symlinks === 'resolve') return (await resolve(target.path)).steps;
  const steps: PathStep[] = [];
  for (const name of literal) {
    // Each name is looked up by itself, unfollowed: below a symlink or a missing folder there is nothing to imitate.
    const parent = steps.map((one) => one.name);
    const hidden = steps.some(({ status }) => status?.type !== 'directory');
    const found = hidden
      ? undefined
      : await resolve(`/${[...parent, name].join('/')}`, { followLast: false });
    const status = found?.steps.at(-1)?.status;
    steps.push(status === undefined ? { name } : { name, status });
  }
  return steps;
}

/** Type of what the layer itself has at a place: `symlink`, `missing`… for anything on the way that is no folder. */
async function typeInLayer(host: Host, layer: string, steps: readonly PathStep[]): Promise<string> {
  let path = layer;
  for (const [index, { name }] of steps.entries()) {
    path = `${path}/${name}`;
    const type = (await host.status(path))?.type ?? 'missing';
    if (type !== 'directory' || index === steps.length - 1) return type;
  }
  return 'directory';
}
