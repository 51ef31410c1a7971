// Servers that have the images of a registry, and which of them need not prove who they are. Taken from the environment
// and not from containers' registries.conf: that is TOML, with drop-in files, prefixes and short names of its own, and
// to honour only a part of it would be worse than none.
import { OperationError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';

const INSECURE = 'RUNSPEC_INSECURE_REGISTRIES';
const MIRRORS = 'RUNSPEC_REGISTRY_MIRRORS';

/** A server of the Distribution API. */
export interface Endpoint {
  /** HOST[:PORT] to connect to. */
  readonly host: string;
  /** HOST[:PORT] as files with credentials name it. */
  readonly registry: string;
  readonly repository: string;
}

export interface RegistrySettings {
  /** True when a server may speak plain http, and https with any certificate. */
  isInsecure(host: string): boolean;
  /** Servers to ask, in order; the registry itself comes last. */
  endpointsOf(registry: string, repository: string): readonly Endpoint[];
}

/** @throws OperationError naming the variable that cannot be understood. */
export function parseRegistrySettings(environment: Host['environment']): RegistrySettings {
  const insecure = new Set(
    listOf(environment[INSECURE]).map((entry) => parseServer(entry, INSECURE, entry).host),
  );
  const mirrors = listOf(environment[MIRRORS]).map((entry) => {
    const [, registry = '', server = ''] = /^(.*?)=(.*)$/.exec(entry) ?? [];
    return {
      registry: /^(?:index\.)?docker\.io$/.test(registry)
        ? 'docker.io'
        : parseServer(registry, MIRRORS, entry).host,
      ...parseServer(server, MIRRORS, entry),
    };
  });
  return {
    isInsecure: (host) => insecure.has(host),
    endpointsOf: (registry, repository) => [
      ...mirrors
        .filter((mirror) => mirror.registry === registry)
        .map(({ host, folder }) => ({ host, registry: host, repository: `${folder}${repository}` })),
      { host: registry === 'docker.io' ? 'registry-1.docker.io' : registry, registry, repository },
    ],
  };
}

function listOf(text = ''): readonly string[] {
  return text.split(/[\s,]+/).filter((entry) => entry !== '');
}

/**
 * Parses HOST[:PORT][/FOLDER]; the folder stands before the names of repositories, as proxies of several registries
 * have it.
 */
function parseServer(
  text: string,
  variable: string,
  entry: string,
): { readonly host: string; readonly folder: string } {
  const [, host = '', folder = ''] =
    /^([A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9A-Fa-f:]+\](?::\d{1,5})?)(?:\/([a-z0-9._/-]+?))?\/?$/.exec(text) ??
    [];
  if (host !== '' && URL.canParse(`https://${host}`) && (folder === '' || variable === MIRRORS))
    return { host: host.toLowerCase(), folder: folder === '' ? '' : `${folder}/` };
  // An entry with @ or ? is not shown: it may hold a login.
  const shown = /[@?]/.test(entry) ? 'an entry with @ or ?' : JSON.stringify(entry.slice(0, 80));
  throw new OperationError(`${variable} has ${shown}, which is not understood`, {
    hint:
      variable === INSECURE
        ? 'write HOST[:PORT], several with commas between them'
        : 'write REGISTRY=HOST[:PORT][/FOLDER], several with commas between them',
  });
}
