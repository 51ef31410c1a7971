// The bundle's config.json as it lies on the disk, which may have been damaged there.
import type { Host } from '../host/host.ts';
import type { OciConfig } from '../oci/runtime-spec.ts';

type Unchecked = { readonly [P in keyof OciConfig]?: Partial<OciConfig[P]> };

/** @returns undefined for what is not the configuration of a container. */
export function parseConfig(text: string): OciConfig | undefined {
  let config: Unchecked | null;
  try {
    config = JSON.parse(text) as Unchecked | null;
  } catch {
    // Not JSON: as little of a configuration as JSON of another shape.
    return undefined;
  }
  const isWhole =
    Array.isArray(config?.process?.capabilities?.bounding) &&
    Array.isArray(config.process.env) &&
    Array.isArray(config.mounts) &&
    Array.isArray(config.linux?.namespaces) &&
    typeof config.root?.path === 'string' &&
    // `typeof` would let null pass, which JSON.parse may give.
    config.annotations instanceof Object;
  return isWhole ? (config as unknown as OciConfig) : undefined;
}

export async function readConfig(host: Host, bundle: string): Promise<OciConfig | undefined> {
  return parseConfig((await host.readText(`${bundle}/config.json`)) ?? '');
}
