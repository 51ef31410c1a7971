// The files of one container as steps: layers, the layer of mount points, the writable layer, the
// overlay over them, and the generated files of /etc.
import { sha256 } from '../crypto.ts';
import type { Spec } from '../load/spec.ts';
import type { GeneratedFiles } from '../oci/mounts.ts';
import { mountTargets } from '../oci/mounts.ts';
import { renderEtcFiles } from './etc-files.ts';
import type { HostFacts } from './facts.ts';
import type { DirectoryStep, FileStep, Lease, Step } from './plan.ts';
import { containerFolder, GROWING_FILES, RECORD_FOLDERS } from './container-folder.ts';

export interface Places {
  readonly state: string;
  readonly data: string;
  readonly rootfs: string;
  readonly bundle: string;
  readonly runtimeRoot: string;
  readonly records: string;
  readonly log: string;
  readonly files: GeneratedFiles;
  readonly writable: string;
  readonly upper: string;
  readonly work: string;
}

/** Paths of everything that belongs to a container, in the state folder and the data folder. */
export function placesOf(spec: Spec, facts: HostFacts): Places {
  const state = `${facts.stateDir}/${spec.name}`;
  const data = containerFolder(facts.dataDir, spec.name);
  const isPersistent = spec.writable === 'persistent';
  const writable = isPersistent
    ? `${facts.dataDir}/writable/${spec.name}`
    : `${data}/${RECORD_FOLDERS.writable}`;
  // The upper folder is another one over other layers: should their start fail, the former is there to go back to.
  const upper = isPersistent ? 'upper' : `upper-${sha256(lowerOf(spec, facts).join('\n')).slice(0, 12)}`;
  return {
    state,
    data,
    rootfs: `${state}/rootfs`,
    bundle: `${data}/${RECORD_FOLDERS.bundle}`,
    runtimeRoot: `${state}/runtime`,
    // The records of the process op lie beside the plan: they go with the container's folder.
    records: data,
    log: `${data}/${GROWING_FILES.log}`,
    files: {
      resolvConf: `${data}/${RECORD_FOLDERS.etc}/resolv.conf`,
      hosts: `${data}/${RECORD_FOLDERS.etc}/hosts`,
      hostname: `${data}/${RECORD_FOLDERS.etc}/hostname`,
    },
    writable,
    upper: `${writable}/${upper}`,
    work: `${writable}/work`,
  };
}

/**
 * Folders of the layers, lowest first, each at its highest place only: overlayfs refuses a folder twice (ELOOP), and
 * the upper one hides all of the lower.
 */
function lowerOf(spec: Spec, facts: HostFacts): readonly string[] {
  const layers = facts.layers[spec.name] ?? [];
  return [...new Set(layers.map((layer) => layer.path).toReversed())].toReversed();
}

export function volumePath(facts: HostFacts, name: string): string {
  return `${facts.dataDir}/volumes/${name}`;
}

export function compileStorage(
  spec: Spec,
  facts: HostFacts,
  places: Places,
  lease: Lease | undefined,
): readonly Step[] {
  const layers = facts.layers[spec.name] ?? [];
  const layerSteps = layers.flatMap((layer, index): readonly Step[] => {
    if (layer.recipe === undefined) return [];
    // Folders and inline files wait for the layers below, which decide where they go; archives unpack side by side.
    const placed = layer.recipe.kind === 'directory' || layer.recipe.kind === 'files';
    const below = layers
      .slice(0, placed ? index : 0)
      .flatMap((other) => (other.recipe === undefined ? [] : [layerId(other.recipe.key)]));
    return [
      {
        id: layerId(layer.recipe.key),
        op: 'layer',
        layer: layer.recipe,
        needs: [],
        after: [...new Set(below)],
        shared: true,
      },
    ];
  });
  // A layer that comes twice keeps the edges of its first place: with those of a higher one it would wait for itself.
  const uniqueLayers = layerSteps.filter(
    (step, index) => layerSteps.findIndex((other) => other.id === step.id) === index,
  );
  const layerIds = uniqueLayers.map((step) => step.id);
  const lower = lowerOf(spec, facts);
  const init = `${places.data}/${RECORD_FOLDERS.mountpoints}`;
  // The id names the state folder, so that a former one that this container leaves goes with its own last user.
  const state = `mount:${facts.stateDir}`;
  const writable = writableSteps(spec, facts, places, lower);
  return [
    { id: state, op: 'private-mount', path: facts.stateDir, needs: [], after: [], shared: true },
    ...uniqueLayers,
    {
      id: 'mountpoints',
      op: 'mountpoints',
      path: init,
      lower,
      targets: mountTargets(spec, facts.paths),
      needs: layerIds,
      after: [],
    },
    ...writable,
    directory('dir:state', places.state, 0o700, 'empty', [state]),
    directory('dir:rootfs', places.rootfs, 0o755, 'empty', ['dir:state']),
    directory('dir:runtime', places.runtimeRoot, 0o700, 'tree', ['dir:state']),
    {
      id: 'overlay:rootfs',
      op: 'overlay',
      target: places.rootfs,
      lower: [...lower, init],
      ...(spec.readonlyRootfs ? {} : { upper: places.upper, work: places.work }),
      needs: [...layerIds, 'mountpoints', 'dir:rootfs', ...writable.map((step) => step.id)],
      after: [],
    },
    ...etcSteps(spec, facts, places, lease),
    ...volumeSteps(spec, facts, [...lower, init], [...layerIds, 'mountpoints']),
  ];
}

function layerId(key: string): string {
  return `layer:${key.slice(0, 12)}`;
}

function writableSteps(
  spec: Spec,
  facts: HostFacts,
  places: Places,
  lower: readonly string[],
): readonly DirectoryStep[] {
  if (spec.readonlyRootfs) return [];
  const persistent = spec.writable === 'persistent';
  const removal = persistent ? 'volume' : 'tree';
  const parents = persistent
    ? [
        {
          ...directory('dir:writables', `${facts.dataDir}/writable`, 0o700, 'empty', []),
          shared: true as const,
        },
      ]
    : [];
  return [
    ...parents,
    directory(
      'dir:writable',
      places.writable,
      0o700,
      removal,
      parents.map((step) => step.id),
    ),
    // The root of the overlay takes its mode from the upper layer: 0755, as in any root file system.
    {
      ...directory('dir:upper', places.upper, 0o755, removal, ['dir:writable']),
      ...(persistent ? {} : { layers: lower }),
    },
    directory('dir:work', places.work, 0o700, removal, ['dir:writable']),
  ];
}

function etcSteps(spec: Spec, facts: HostFacts, places: Places, lease: Lease | undefined): readonly Step[] {
  const file = (id: string, path: string, text: string): FileStep => ({
    id,
    op: 'file',
    path,
    text,
    mode: 0o644,
    // The file is bind-mounted into the running container, which sees the inode and not the name.
    inPlace: true,
    needs: ['dir:etc'],
    after: [],
  });
  const texts = renderEtcFiles(spec, facts, lease);
  return [
    directory('dir:etc', `${places.data}/${RECORD_FOLDERS.etc}`, 0o755, 'tree', []),
    file('file:/etc/resolv.conf', places.files.resolvConf, texts.resolvConf),
    file('file:/etc/hosts', places.files.hosts, texts.hosts),
    file('file:/etc/hostname', places.files.hostname, texts.hostname),
  ];
}

/**
 * Volumes and their folder. A new volume gets the content of the folder that it covers, as with Docker and Podman; it
 * comes from the read-only layers, which the container cannot change meanwhile.
 */
function volumeSteps(
  spec: Spec,
  facts: HostFacts,
  lower: readonly string[],
  layerIds: readonly string[],
): readonly Step[] {
  const volumes = spec.mounts.filter((mount) => mount.type === 'volume');
  if (volumes.length === 0) return [];
  const names = [...new Set(volumes.map(({ source }) => source))];
  return [
    { ...directory('dir:volumes', `${facts.dataDir}/volumes`, 0o700, 'empty', []), shared: true },
    ...names.map((name): Step => ({
      ...directory(`volume:${name}`, volumePath(facts, name), 0o755, 'volume', ['dir:volumes']),
      after: layerIds,
      seeds: volumes.flatMap(({ source, destination: path }) => (source === name ? [{ lower, path }] : [])),
      shared: true,
    })),
  ];
}

export function directory(
  id: string,
  path: string,
  mode: number,
  removal: DirectoryStep['removal'],
  needs: readonly string[],
): DirectoryStep {
  return { id, op: 'directory', path, mode, removal, needs, after: [] };
}
