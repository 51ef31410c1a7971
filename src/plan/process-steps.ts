// Steps of the process itself, the last of a plan.
import type { StepBase } from './step-base.ts';

export interface ProcessStep extends StepBase {
  readonly op: 'process';
  readonly container: string;
  readonly bundle: string;
  readonly runtime: { readonly name: string; readonly path: string };
  /** Runtime's state below the state dir. */
  readonly runtimeRoot: string;
  /** The container's folder: conmon writes the exit status there, runspec who the process is. */
  readonly records: string;
  readonly log: string;
  readonly terminal: boolean;
  readonly stopSignal: string;
  readonly stopTimeout: number;
  readonly cgroup: string;
  readonly oomScoreAdj?: number;
}

/** Sysctls in the container's own namespaces: its runtime has set them, and they go with the namespaces. */
export interface ContainerSysctlsStep extends StepBase {
  readonly op: 'container-sysctls';
  /** Folder of the process's records. */
  readonly records: string;
  /** File with the sysctls as the kernel showed them after they were set. */
  readonly path: string;
  /** Names and values as in the spec. */
  readonly sysctls: Readonly<Record<string, string>>;
}

/** File beside config.json that keeps how the kernel shows the container's sysctls. */
export function shownSysctls(bundle: string): string {
  return `${bundle}/sysctls.json`;
}
