// Reports on steps as they are applied or reverted, as values: the command decides whether they become lines or JSON.
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
  /** Tells how a step's long work goes on. */
  progress(container: string, step: string, text: string): void;
  /** Reports that the changes made for the container are being undone. */
  rollback(container: string, because: RollbackCause): void;
}

/** The container's step that failed, or the other container of the apply that did; neither after an interrupt. */
export type RollbackCause =
  | { readonly step: string; readonly failed?: undefined }
  | { readonly step?: undefined; readonly failed: string }
  | { readonly step?: undefined; readonly failed?: undefined };
