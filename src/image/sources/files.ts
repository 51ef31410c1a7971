// Files by name, in a folder or in an archive: layouts and Docker's archives are read through this interface.
import type { Readable } from 'node:stream';
import { OperationError } from '../../errors.ts';
import type { LayerContext } from '../unpack-tarball.ts';

export type SourceContext = Pick<LayerContext, 'host' | 'archives' | 'signal'>;

export interface Files {
  has(name: string): Promise<boolean>;
  /** @throws OperationError when there is no such file. */
  open(name: string, signal: AbortSignal): Promise<Readable>;
}

/** @throws OperationError when `folder` is no folder. */
export async function openFolder({ host, archives }: SourceContext, folder: string): Promise<Files> {
  const real = await host.realPath(folder);
  const type = real === undefined ? undefined : (await host.status(real))?.type;
  if (real === undefined || type !== 'directory') {
    throw new OperationError(
      type === undefined ? 'there is no such folder' : `it is a ${type}, not a folder`,
      {
        hint: type === 'file' ? 'an archive of docker save is docker-archive:FILE' : 'check the path',
      },
    );
  }
  return {
    has: async (name) => (await host.status(`${real}/${name}`)) !== undefined,
    open: (name, signal) => archives.openFile(`${real}/${name}`, { within: real, signal }),
  };
}
