// A Host for those who may read only part of the machine: what may not be read counts as not there.
// For `plan` without root; the command says that its answer is that of an empty host.
import type { Host } from './host.ts';

export function unprivileged(host: Host): Host {
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
