import type { Reporter, SerializedError, TestModule } from 'vitest/node';
import { inCi } from '../helpers/ci.js';
import { allowedSkips, type AllowedSkip } from './allowed-skips.js';
import { isServerOnly, leftOutLines, staleEntries } from './embedded-report.js';
import { failureLines } from './failures.js';

export type Sum = { passed: number; failed: number };

/** "12 passed, 0 failed" */
export function formatSum({ passed, failed }: Sum): string {
  return `${passed} passed, ${failed} failed`;
}

export function isAllowedSkip(
  fullName: string,
  allowed: readonly AllowedSkip[] = allowedSkips,
): boolean {
  return allowed.some((entry) => entry.test === fullName);
}

/**
 * Ends the output with one line that says the sum, for people and for scripts. What fails outside a test counts as one
 * failure each (a file that does not load, a hook, an unhandled error), so that the sum never looks better than
 * the exit code; what failed is said again right above it, because a log is often read from its end. In CI a skipped test fails the run unless it is on the list. What passed at the second try only is
 * named: such a test is unsteady and wants to be mended.
 */
export default class SumReporter implements Reporter {
  #sum: Sum = { passed: 0, failed: 0 };
  #failures: string[] = [];

  onInit(): void {
    // Other reporters and the global tear-down print after the end of the run; nothing does after this.
    process.on('exit', (code) => {
      const failed = code !== 0 && this.#sum.failed === 0 ? 1 : this.#sum.failed;
      for (const line of this.#failures) process.stdout.write(`${line}\n`);
      process.stdout.write(`${formatSum({ ...this.#sum, failed })}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state: 'passed' | 'failed' | 'skipped') =>
      tests.filter((test) => test.result().state === state);
    const skipped = inState('skipped');
    const isAllowed = (test: (typeof skipped)[number]) =>
      isAllowedSkip(test.fullName) || isServerOnly(test.module.relativeModuleId, test.fullName);
    const forbidden = inCi ? skipped.filter((test) => !isAllowed(test)) : [];
    for (const line of leftOutLines()) console.log(line);
    const stale = staleEntries(modules);
    for (const entry of stale) {
      console.error(`no such test, though test/helpers/embedded-suite.ts names it: ${entry}`);
    }
    for (const test of forbidden) {
      console.error(
        `skipped in CI, which counts as failed: ${test.module.relativeModuleId} > ${test.fullName}\n` +
          '  hint: make it run, or name it with its reason in test/reporters/allowed-skips.ts',
      );
    }
    if (forbidden.length + stale.length > 0) process.exitCode = 1;
    for (const test of tests.filter((each) => each.diagnostic()?.flaky)) {
      console.error(
        `unsteady, passed at the second try: ${test.module.relativeModuleId} > ${test.fullName}`,
      );
    }
    const leftOut = skipped.length - forbidden.length;
    if (leftOut > 0) console.log(`${leftOut} skipped`);
    const brokenSuites = modules
      .flatMap((module) => [module, ...module.children.allSuites()])
      .filter((suite) => suite.errors().length > 0);
    this.#failures = failureLines(modules, unhandledErrors);
    this.#sum = {
      passed: inState('passed').length,
      failed:
        inState('failed').length +
        brokenSuites.length +
        unhandledErrors.length +
        forbidden.length +
        stale.length,
    };
  }
}
