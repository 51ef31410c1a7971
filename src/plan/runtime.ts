// Which OCI runtime starts the process: what the spec names, or the first of crun and runc that works here.
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import type { Plan } from './plan.ts';
import type { Problems } from './problems.ts';

const INSTALL = 'install one: apt-get install runc conmon (or crun on a host with cgroup v2 only); runspec doctor says more';

export function chooseRuntime(spec: Spec, facts: HostFacts, problems: Problems): Plan['runtime'] | undefined {
  const { programs, cgroups } = facts;
  if (programs['conmon'] === undefined) {
    problems.error('no-conmon', ['runtime'], 'conmon is not installed; it keeps the log and exit status of the process', INSTALL);
  }
  switch (spec.runtime) {
    case 'auto':
      break;
    case 'unshare':
      problems.error('not-supported', ['runtime'], 'runtime unshare is not available in this version', 'use auto, crun or runc');
      return undefined;
    case 'crun':
    case 'runc': {
      const path = programs[spec.runtime];
      if (path === undefined) problems.error('no-runtime', ['runtime'], `${spec.runtime} is not installed`, INSTALL);
      if (spec.runtime === 'crun' && !crunWorks(facts)) {
        problems.error('no-runtime', ['runtime'], `crun does not start on a host with ${cgroups.layout} cgroups`, 'use runtime: auto or runc');
      }
      return path === undefined ? undefined : { name: spec.runtime, path };
    }
    default:
      if (facts.paths[spec.runtime]?.type !== 'file') {
        problems.error('no-runtime', ['runtime'], `there is no OCI runtime at ${spec.runtime}`, INSTALL);
        return undefined;
      }
      return { name: spec.runtime.slice(spec.runtime.lastIndexOf('/') + 1), path: spec.runtime };
  }
  if (programs['crun'] !== undefined && crunWorks(facts)) return { name: 'crun', path: programs['crun'] };
  if (programs['runc'] !== undefined) return { name: 'runc', path: programs['runc'] };
  const found = programs['crun'] === undefined ? 'no OCI runtime is installed' : `crun does not start on a host with ${cgroups.layout} cgroups, and runc is not installed`;
  problems.error('no-runtime', ['runtime'], found, INSTALL);
  return undefined;
}

// crun: "cgroups in hybrid mode not supported" (FACTS.md; libcrun/cgroup-utils.c): v1 and v2 mounted side by side.
function crunWorks(facts: HostFacts): boolean {
  return facts.cgroups.layout !== 'hybrid';
}
