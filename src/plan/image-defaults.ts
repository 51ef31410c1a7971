// Fills in what a spec leaves to its image: entrypoint and cmd, environment, working folder, user, stop
// signal. What the spec says always goes before what the image says.
import type { Parsed } from '../load/describe.ts';
import { parseUser } from '../load/formats.ts';
import { parseSignal } from '../load/names.ts';
import { normalizePath } from '../oci/paths.ts';
import type { SettledSpec, Spec } from '../load/spec.ts';
import type { ImageConfig, ImageFacts } from './facts.ts';
import type { PlannedImage } from './plan.ts';
import type { Problems } from './problems.ts';

export interface Settled {
  readonly spec: SettledSpec;
  readonly image?: PlannedImage;
}

export function settleSpec(spec: Spec, facts: ImageFacts | undefined, problems: Problems): Settled {
  const { process } = spec;
  const decided = facts === undefined ? {} : decidedBy(facts, process, problems);
  const settled: SettledSpec = {
    ...spec,
    process: {
      ...process,
      args: process.args ?? decided.args ?? ['/bin/sh'],
      env: { ...decided.env, ...process.env },
      cwd: process.cwd ?? decided.cwd ?? '/',
      user: process.user ?? decided.user ?? 'root',
      stopSignal: process.stopSignal ?? decided.stopSignal ?? 'SIGTERM',
    },
  };
  if (facts === undefined) return { spec: settled };
  checkVolumes(spec, facts.config, problems);
  const { reference, digest } = facts;
  return { spec: settled, image: { reference, digest, process: decided } };
}

/** Values that the spec leaves out and the image gives. Empty strings count as absent, as in Docker. */
function decidedBy(
  { reference, config }: ImageFacts,
  process: Spec['process'],
  problems: Problems,
): PlannedImage['process'] {
  const accept = <K extends 'user' | 'stopSignal'>(
    key: K,
    parse: (text: string) => Parsed<string>,
  ): { readonly [key in K]?: string } => {
    const text = config[key];
    if (text === undefined || text === '' || process[key] !== undefined) return {};
    const parsed = parse(text);
    if ('value' in parsed) return { [key]: parsed.value } as { readonly [key in K]?: string };
    problems.error(
      'invalid-image',
      ['rootfs', 'image'],
      `${key} ${JSON.stringify(text)} of ${reference} ${parsed.problem}`,
      `say it in the spec: process.${key}`,
    );
    return {};
  };
  const args = [...(config.entrypoint ?? []), ...(config.cmd ?? [])];
  const env = parseEnv(config.env ?? []).filter(([name]) => process.env[name] === undefined);
  const cwd = config.workingDir ?? '';
  return {
    ...(args.length === 0 || process.args !== undefined ? {} : { args }),
    ...(env.length === 0 ? {} : { env: Object.fromEntries(env) }),
    ...(cwd === '' || process.cwd !== undefined ? {} : { cwd: normalizePath(cwd) }),
    ...accept('user', parseUser),
    ...accept('stopSignal', parseSignal),
  };
}

/** A name without a value is a variable of the builder's machine, which Docker drops as well. */
function parseEnv(lines: readonly string[]): readonly (readonly [string, string])[] {
  return lines.flatMap((line) => {
    const end = line.indexOf('=');
    return end < 1 ? [] : [[line.slice(0, end), line.slice(end + 1)] as const];
  });
}

/**
 * Warns of image volumes in a read-only root: they lie in the writable layer, live as long as it does, and would be of
 * no use without one. Data that has to live longer is mounted by name.
 */
function checkVolumes(spec: Spec, { volumes = [] }: ImageConfig, problems: Problems): void {
  if (!spec.readonlyRootfs) return;
  const mounted = new Set(spec.mounts.map((mount) => normalizePath(mount.destination)));
  for (const volume of volumes) {
    const path = normalizePath(volume);
    if (mounted.has(path)) continue;
    problems.warning(
      'volume-not-writable',
      ['rootfs', 'readonly'],
      `the image has a volume at ${path}, which cannot be written in a read-only root`,
      `mount something there, as in { type: volume, source: data, destination: ${path} }`,
    );
  }
}
