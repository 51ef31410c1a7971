// Checks of the root right before a runtime begins in it, for what the runtime would follow out of the container, wait
// for without end, or complain of late. A process that is started again finds the root as the former one left it, so
// they are made before every start, and not only when the configuration is made.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { mergeLayers } from '../image/resolve-path.ts';
import type { OciConfig, OciProcess } from '../oci/runtime-spec.ts';
import { checkCwd } from './check-cwd.ts';
import { checkRoot } from './check-root.ts';
import { checkProgram, programError } from './program.ts';
import { findForeignMountpoint, lookUp, type RootView, viewOfMounts } from './root-view.ts';
import { checkDatabases } from './users.ts';

/**
 * @param config its root is mounted; its mounts are not there yet.
 * @param layers of its root when that is not mounted yet, lowest first.
 * @returns the container as it will be.
 * @throws OperationError
 */
export async function checkPlaces(
  host: Host,
  config: Pick<OciConfig, 'root' | 'mounts'>,
  dataDir: string,
  layers?: readonly string[],
): Promise<RootView> {
  // Of layers the topmost has folders there.
  if (layers === undefined) await checkRoot(host, config.root.path);
  const root = layers === undefined ? config.root.path : await mergeLayers(host, layers);
  const view = await viewOfMounts(host, root, config.mounts);
  const foreign = await findForeignMountpoint(host, view, dataDir);
  if (foreign !== undefined) {
    throw new OperationError(`the mount on ${foreign.destination} has no place in ${foreign.source}`, {
      destination: foreign.destination,
      hint: 'make the folder (or, for a file, an empty file) in it first; runspec changes nothing in a folder of yours',
    });
  }
  await checkDevices(host, view);
  await checkDatabases(host, view);
  return view;
}

/** Over a bind on /dev runtimes make no devices, and complain of the first one that they miss in words that name no mount. */
async function checkDevices(host: Host, view: RootView): Promise<void> {
  const mount = view.binds.find(({ destination, source }) => destination === '/dev' && source !== undefined);
  if (mount === undefined || (await lookUp(host, view, '/dev/null')) !== 'missing') return;
  throw new OperationError(
    `the mount on /dev hides the devices of the container, and ${mount.source} has none`,
    {
      destination: '/dev',
      hint: 'leave it out, and add devices with devices: [/dev/fuse]; or mount a folder of devices, such as /dev',
    },
  );
}

type Started = Pick<OciProcess, 'args' | 'env' | 'cwd'>;

/** @throws OperationError when the process cannot begin there, with the key of the spec. */
export async function checkProcess(
  host: Host,
  view: RootView,
  { root, process }: { readonly root: OciConfig['root']; readonly process: Started },
): Promise<void> {
  const check = await checkProgram(host, view, process);
  if (check === 'missing' || check === 'not-executable')
    throw programError(check, process).with({ path: ['process', 'args', 0] });
  await checkCwd(host, view, process.cwd, root.readonly);
}
