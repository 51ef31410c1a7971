// Whether a container's init is its program by now: runtimes answer before execve(2).
import type { Host } from '../host/host.ts';
import { readProcFile } from './proc.ts';

/** As runc's and crun's init call themselves until then; whoever wraps a runtime starts one of these. */
const RUNTIMES = /^(?:runc:|exe$|crun|libcrun|\d+$)/;

/** @returns `gone` when it has ended, be it without ever having been the program. */
export async function hasBegun(
  host: Host,
  pid: number,
  runtime: string,
): Promise<'begun' | 'not yet' | 'gone'> {
  const name = (await readProcFile(host, `/proc/${pid}/comm`))?.trim();
  if (name === undefined) return 'gone';
  return name === runtime || RUNTIMES.test(name) ? 'not yet' : 'begun';
}
