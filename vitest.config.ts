import { configDefaults, defineConfig } from 'vitest/config';
import { embeddedFiles, wholeFilesNotOnEmbedded } from './test/helpers/embedded-suite.js';
import { testEngine } from './test/helpers/engine.js';
import { LongestFirst } from './test/helpers/longest-first.js';

const onEmbedded = testEngine === 'embedded';
// The folder test/schema stands there for its files that are not in the list of those that run.
const leftOut = wholeFilesNotOnEmbedded
  .filter((path) => path !== 'test/schema')
  .map((path) => (path.endsWith('.test.ts') ? path : `${path}/**`));

export default defineConfig({
  test: {
    include: onEmbedded ? [...embeddedFiles] : ['test/**/*.test.{ts,tsx}'],
    exclude: [...configDefaults.exclude, ...(onEmbedded ? leftOut : [])],
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/helpers/setup.ts'],
    sequence: { sequencer: LongestFirst },
    pool: 'forks',
    // Two cores: tests of terminals and time-outs mostly wait.
    maxWorkers: onEmbedded ? 4 : 3,
    // On the embedded engine a test may start a daemon of its own.
    testTimeout: onEmbedded ? 120_000 : 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // What is waited for is a state, and a busy machine takes its time: only what never comes fails.
    expect: { poll: { timeout: 50_000 } },
    // A log is often all that one has: what was read stands there whole.
    chaiConfig: { truncateThreshold: 4000 },
    reporters: ['default', './test/reporters/sum-reporter.ts'],
  },
});
