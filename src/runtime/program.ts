// Whether the program a process is to run exists in its root and may be executed; asked before the start,
// because a runtime's own words about it come late and name no place to look.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { normalizePath } from '../oci/paths.ts';
import { type RootView, lookUp } from './root-view.ts';

export type ProgramCheck = 'found' | 'unknown' | 'missing' | 'not-executable';

export async function checkProgram(
  host: Host,
  view: RootView,
  process: { readonly args: readonly string[]; readonly env: readonly string[]; readonly cwd: string },
): Promise<ProgramCheck> {
  const program = process.args[0] ?? '';
  // Joined to a folder of PATH it would be that folder.
  if (program === '') return 'missing';
  const searched = program.includes('/')
    ? [normalizePath(program, process.cwd)]
    : searchPath(process.env).map((folder) => `${folder}/${program}`);
  let outcome: ProgramCheck = 'missing';
  for (const candidate of searched) {
    const found = await lookUp(host, view, candidate);
    if (found === 'missing') continue;
    if (found === 'unknown') return 'unknown';
    if (found.status.type === 'file' && (found.status.mode & 0o111) !== 0) return 'found';
    outcome = 'not-executable';
  }
  return outcome;
}

export function programError(
  check: 'missing' | 'not-executable',
  process: { readonly args: readonly string[]; readonly env: readonly string[] },
): OperationError {
  const program = process.args[0] ?? '';
  if (check === 'not-executable') {
    return new OperationError(`${program} in the root file system is not an executable file`, {
      hint: `it has to be a file with the execute bit: ls -l ${program}`,
    });
  }
  if (program === '')
    return new OperationError('the name of the program is empty', {
      hint: 'the first of the arguments is a name or a path inside the container',
    });
  const where = program.includes('/')
    ? 'the path is one inside the container'
    : `it was looked for in PATH: ${searchPath(process.env).join(':')}`;
  return new OperationError(`no program ${program} in the root file system`, {
    hint: `${where}; check process.args, rootfs and mounts`,
  });
}

function searchPath(env: readonly string[]): readonly string[] {
  const path = env.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  return path.split(':').filter((folder) => folder.startsWith('/'));
}
