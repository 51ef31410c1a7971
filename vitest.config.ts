// Three tiers: pure (fast, no root), crash (the fake host fails at every step), system (root, real kernel).
import { defineConfig } from 'vitest/config';

// Tests compare modes, and some call administrators' programs: neither is to depend on who runs them.
process.umask(0o022);
process.env['PATH'] = `${process.env['PATH']}:/usr/local/sbin:/usr/sbin:/sbin`;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'pure',
          include: ['test/**/*.test.ts'],
          exclude: ['test/crash/**', 'test/system/**'],
          testTimeout: 20_000,
        },
      },
      {
        test: { name: 'crash', include: ['test/crash/**/*.test.ts'], testTimeout: 120_000 },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          globalSetup: ['test/support/build.ts', 'test/support/controllers.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Every test has a host of its own; the machine's CPUs are what they share.
          maxWorkers: 4,
        },
      },
    ],
  },
});
