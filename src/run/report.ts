// What a run says about its steps, as values: the command decides whether they become lines or JSON.
import type { Step } from '../plan/plan.ts';
import type { Action } from './changes.ts';

export interface StepReport {
  readonly container: string;
  readonly step: Step;
  readonly action: Action;
  readonly outcome: 'done' | 'failed' | 'removed' | 'gone' | 'kept';
  readonly milliseconds: number;
  readonly reason?: string;
}

export interface Reporter {
  step(report: StepReport): void;
  /** Long work of a step, as it goes. */
  progress(container: string, step: string, text: string): void;
  /** What the container's apply did is being undone. @param step that failed; undefined after an interrupt. */
  rollback(container: string, step: string | undefined): void;
}
