import { configDefaults, defineConfig } from 'vitest/config';
import { inCi } from './test/helpers/ci.js';
import { embeddedFiles, notOnEmbedded } from './test/helpers/embedded-suite.js';
import { testEngine } from './test/helpers/engine.js';

const onEmbedded = testEngine === 'embedded';
const wholeFiles = notOnEmbedded
  .filter(({ path, test }) => test === undefined && path.endsWith('.test.ts'))
  .map(({ path }) => path);

export default defineConfig({
  test: {
    include: onEmbedded ? [...embeddedFiles] : ['test/**/*.test.{ts,tsx}'],
    exclude: [...configDefaults.exclude, ...(onEmbedded ? wholeFiles : [])],
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/helpers/setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // On the embedded engine a test may start a daemon of its own.
    testTimeout: onEmbedded ? 120_000 : 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // Unattended, a machine may stall at any moment. What passes at the second try only is named at the end.
    retry: inCi ? 1 : 0,
    reporters: ['default', './test/reporters/sum-reporter.ts'],
  },
});
