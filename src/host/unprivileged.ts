// A Host for users who may read only part of the machine: an unreadable file counts as absent. For `plan` without root;
// the command says that its answer is that of an empty host.
import { OperationError } from '../errors.ts';
import type { Archives } from './archives.ts';
import type { Host } from './host.ts';

export interface Readable {
  readonly host: Host;
  readonly archives: Archives;
}

export function unprivileged(host: Host, archives: Archives): Readable {
  return { host: readableHost(host), archives: { ...archives, digest: digestOfReadable(archives) } };
}

/** Digest of a folder; empty when something in it may not be read, as only root's plan can name the layer then. */
function digestOfReadable({ digest }: Archives): Archives['digest'] {
  return async (root, signal) => {
    try {
      return await digest(root, signal);
    } catch (error) {
      const isRefused =
        error instanceof OperationError &&
        /Permission denied/.test(error.message + (error.command?.stderr ?? ''));
      if (isRefused) return '';
      throw error;
    }
  };
}

function readableHost(host: Host): Host {
  const orUndefined = async <T>(reading: Promise<T>): Promise<T | undefined> => {
    try {
      return await reading;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EACCES' || code === 'EPERM') return undefined;
      throw error;
    }
  };
  return {
    ...host,
    readText: (path) => orUndefined(host.readText(path)),
    status: (path) => orUndefined(host.status(path)),
    statusOfTarget: (path) => orUndefined(host.statusOfTarget(path)),
    list: (path) => orUndefined(host.list(path)),
    realPath: (path) => orUndefined(host.realPath(path)),
    run: async (argv, options) => {
      const result = await host.run(argv, options);
      const refused = result.status !== 0 && /Operation not permitted|Permission denied/.test(result.stderr);
      return refused ? { ...result, stderr: 'No such file or directory' } : result;
    },
  };
}
