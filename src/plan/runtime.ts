// Chooses the OCI runtime that starts the process: what the spec names, or the first of crun and runc that works here.
import type { Diagnostic } from '../errors.ts';
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import type { Plan } from './plan.ts';
import type { Problems } from './problems.ts';

const INSTALL =
  'install one: apt-get install runc conmon (or crun on a host with cgroup v2 only); runspec doctor says more';

export function chooseRuntime(spec: Spec, facts: HostFacts, problems: Problems): Plan['runtime'] | undefined {
  const { programs } = facts;
  const crunFailure = whyCrunFails(facts);
  if (programs['conmon'] === undefined) {
    problems.error(
      'no-conmon',
      ['runtime'],
      'conmon is not installed; it keeps the log and exit status of the process',
      INSTALL,
    );
  }
  // A container stays with the runtime that started it: another one that was installed since, or another PATH,
  // is no reason to restart a process.
  const former = facts.containers[spec.name]?.runtime;
  if (former !== undefined && (spec.runtime === 'auto' || spec.runtime === former.name)) return former;
  switch (spec.runtime) {
    case 'auto':
      break;
    case 'unshare':
      for (const { code, path, message, hint } of findRuntimeProblems(spec))
        problems.error(code, path, message, hint);
      return undefined;
    case 'crun':
    case 'runc': {
      const path = programs[spec.runtime];
      if (path === undefined)
        problems.error('no-runtime', ['runtime'], `${spec.runtime} is not installed`, INSTALL);
      if (spec.runtime === 'crun' && crunFailure !== undefined)
        problems.error('no-runtime', ['runtime'], crunFailure, 'use runtime: auto or runc');
      return path === undefined ? undefined : { name: spec.runtime, path };
    }
    default:
      if (facts.paths[spec.runtime]?.type !== 'file') {
        problems.error('no-runtime', ['runtime'], `there is no OCI runtime at ${spec.runtime}`, INSTALL);
        return undefined;
      }
      return { name: spec.runtime.slice(spec.runtime.lastIndexOf('/') + 1), path: spec.runtime };
  }
  if (programs['crun'] !== undefined && crunFailure === undefined)
    return { name: 'crun', path: programs['crun'] };
  if (programs['runc'] !== undefined) return { name: 'runc', path: programs['runc'] };
  const found =
    programs['crun'] === undefined
      ? 'no OCI runtime is installed'
      : `${crunFailure}, and runc is not installed`;
  problems.error('no-runtime', ['runtime'], found, INSTALL);
  return undefined;
}

/** Problems of a runtime that this version starts on no machine. */
export function findRuntimeProblems({ runtime }: Spec): readonly Diagnostic[] {
  if (runtime !== 'unshare') return [];
  return [
    {
      code: 'not-supported',
      severity: 'error',
      path: ['runtime'],
      message: 'runtime unshare is not available in this version',
      hint: 'use auto, crun or runc',
    },
  ];
}

/**
 * Measured with crun 1.8.1: "cgroups in hybrid mode not supported" where v1 and v2 are mounted side by side, and
 * "setrlimit (RLIM_MEMLOCK)" where devices are filtered by a BPF program (v2) without CAP_SYS_RESOURCE.
 */
export function whyCrunFails({
  cgroups,
  mayRaiseLimits,
}: Pick<HostFacts, 'mayRaiseLimits'> & { readonly cgroups: Pick<HostFacts['cgroups'], 'layout'> }):
  | string
  | undefined {
  if (cgroups.layout === 'hybrid') return 'crun does not start on a host with hybrid cgroups';
  if (cgroups.layout === 'v2' && !mayRaiseLimits)
    return 'crun needs CAP_SYS_RESOURCE on a host with cgroup v2';
  return undefined;
}
