// Collects what is wrong with a spec on this host; compile reports all of it at once.
import type { Diagnostic, SpecPath } from '../errors.ts';

export interface Problems {
  error(code: string, path: SpecPath, message: string, hint?: string): void;
  warning(code: string, path: SpecPath, message: string, hint?: string): void;
  readonly all: readonly Diagnostic[];
}

export function createProblems(): Problems {
  const all: Diagnostic[] = [];
  const add =
    (severity: Diagnostic['severity']) => (code: string, path: SpecPath, message: string, hint?: string) => {
      all.push({ code, severity, path, message, ...(hint === undefined ? {} : { hint }) });
    };
  return { error: add('error'), warning: add('warning'), all };
}
