// rootfs.host: the closure of this host's own files as a layer.
import { OperationError } from '../errors.ts';
import type { SpecPath } from '../errors.ts';
import { closeOver, type Closure } from './closure.ts';
import { sha256 } from '../crypto.ts';
import { createTreeInspector } from './inspect-tar.ts';
import { makeLayer } from './make-layer.ts';
import { makeSkeleton, readUsers } from './skeleton.ts';
import { describeTree } from './tree-key.ts';
import type { LayerContext } from './unpack-tarball.ts';

export interface HostFiles extends Closure {
  readonly key: string;
  readonly users: Readonly<Record<string, string>>;
}

/**
 * Closure of these files, the host's users, and the key of the layer. The key covers path, type, mode, owner and link
 * target of every file, its inode, size and times instead of its content, and the users: reading all these programs and
 * libraries would double the time of a plan.
 */
export async function readHostFiles(
  { host, archives, signal }: Pick<LayerContext, 'host' | 'archives' | 'signal'>,
  files: readonly string[],
  specPath: SpecPath,
): Promise<HostFiles> {
  const closure = await closeOver(host, archives, files, specPath, signal);
  const users = await readUsers(host);
  return { ...closure, users, key: sha256(JSON.stringify(['host', describeTree(closure.entries), users])) };
}

export async function makeHostLayer(
  context: LayerContext,
  files: readonly string[],
  key: string,
): Promise<void> {
  const { host, archives, signal, progress } = context;
  const found = await readHostFiles(context, files, []);
  const problem = found.diagnostics[0];
  if (problem !== undefined) throw new OperationError(problem.message, { hint: problem.hint });
  if (found.key !== key) {
    throw new OperationError('files of this host changed since the plan was made', { hint: 'apply again' });
  }
  await makeLayer(context, key, async (folder) => {
    await makeSkeleton(host, folder, found.users, found.entries);
    // The tree inspector looks at no ratio, as nothing is compressed, and refuses names through symlinks, of which a
    // closure has none.
    const inspector = createTreeInspector(archives.limits);
    const names = found.entries.map((entry) => entry.path);
    await archives.copy({ root: '/', names, recursive: false }, folder, { inspector, signal, progress });
    const { entries, bytes } = inspector.summary();
    return { source: `host files ${files.join(' ')}`, entries, size: bytes, created: host.now() };
  });
}
