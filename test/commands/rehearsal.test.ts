// Whole commands from their arguments on, on a fake machine: what the build has V8 compile.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { main } from '../../src/cli.ts';
import { rehearse } from '../support/rehearsal.ts';

let said = '';

beforeEach(() => {
  said = '';
  vi.stubGlobal('RUNSPEC_VERSION', 'test');
  vi.stubGlobal('RUNSPEC_BUILD', 'test');
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk, ...rest: readonly unknown[]) => {
    said += String(chunk);
    const written = rest.at(-1);
    if (typeof written === 'function') (written as () => void)();
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  process.exitCode = 0;
});

it('an apply, a second one and a down go through, and leave nothing', async () => {
  await rehearse(main);
  expect(said).toMatch(/^web is up, address 10\.209\.0\.2, ports 0\.0\.0\.0:8080->80\/tcp/m);
  expect(said).toMatch(/^web is up to date/m);
  expect(said).toMatch(/^web is down/m);
});
