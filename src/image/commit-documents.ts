// The config, manifest and other documents of a committed image. Pure: the same container gives the same bytes.
import { createHash } from 'node:crypto';
import { normalizePath } from '../oci/paths.ts';
import type { OciConfig } from '../oci/runtime-spec.ts';
import type { Plan, StepOf } from '../plan/plan.ts';
import type { Descriptor, Digest, Platform } from './image.ts';
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST } from './media-types.ts';

export interface CommittedLayer {
  readonly diffId: Digest;
  /** Text for the history: what the layer was made from. */
  readonly createdBy: string;
}

export interface Document {
  readonly text: string;
  readonly descriptor: Descriptor;
}

/**
 * Config that makes the image run as the container does. The whole command of the container becomes Cmd, because the
 * end of the entrypoint is not known any more.
 * @param created seconds since the epoch
 */
export function renderConfig(
  plan: Plan,
  steps: { readonly bundle: StepOf<'bundle'>; readonly process: StepOf<'process'> },
  layers: readonly CommittedLayer[],
  platform: Platform,
  created: number,
): Document {
  const { process, hostname } = steps.bundle.config as unknown as OciConfig;
  const { user } = steps.bundle;
  const time = new Date(created * 1000).toISOString().replace('.000Z', 'Z');
  const cwd = normalizePath(process.cwd);
  const ports = plan.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`).toSorted();
  return render(OCI_CONFIG, {
    created: time,
    architecture: platform.architecture,
    os: platform.os,
    config: {
      ...(user === '' || user === 'root' || user === '0' ? {} : { User: user }),
      ...(ports.length === 0 ? {} : { ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])) }),
      // HOSTNAME and TERM were this container's alone.
      Env: process.env.filter((line) => line !== `HOSTNAME=${hostname}` && !line.startsWith('TERM=')),
      Cmd: process.args,
      ...(cwd === '/' ? {} : { WorkingDir: cwd }),
      ...(steps.process.stopSignal === 'SIGTERM' ? {} : { StopSignal: steps.process.stopSignal }),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ createdBy }) => ({ created: time, created_by: createdBy })),
  });
}

export function renderManifest(
  config: Descriptor,
  layers: readonly Omit<Descriptor, 'mediaType'>[],
): Document {
  return render(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config,
    layers: layers.map(({ digest, size }) => ({ mediaType: OCI_LAYER_GZIP, digest, size })),
  });
}

function render(mediaType: string, document: unknown): Document {
  const text = JSON.stringify(document);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  return { text, descriptor: { mediaType, digest, size: Buffer.byteLength(text) } };
}
