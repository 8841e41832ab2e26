import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allowedSkips } from './allowed-skips.js';
import { isAllowedSkip } from './sum-reporter.js';

const root = join(import.meta.dirname, '../..');

/** Runs fixture files in a vitest of their own. */
function run(
  files: string[],
  env: NodeJS.ProcessEnv,
): { output: string; lastLine: string; exitCode: number | null } {
  const outer = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|TEST$|NODE_ENV$|CI$)/.test(name),
  );
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      ...['run', '--config', 'test/reporters/fixtures/vitest.config.ts', ...files],
    ],
    { cwd: root, env: { ...Object.fromEntries(outer), ...env }, encoding: 'utf8' },
  );
  return {
    output: stdout + stderr,
    lastLine: stdout.split('\n').at(-2) ?? '',
    exitCode: status,
  };
}

describe('the last line of a run', () => {
  test.each([
    [['all-pass'], {}, '2 passed, 0 failed', 0],
    [['all-pass'], { CI: 'true' }, '2 passed, 0 failed', 0],
    [['all-pass', 'one-fails'], {}, '3 passed, 1 failed', 1],
    [['one-skips'], {}, '1 passed, 0 failed', 0],
    [['one-skips'], { CI: 'false' }, '1 passed, 0 failed', 0],
    [['one-skips'], { CI: 'true' }, '1 passed, 1 failed', 1],
    [['hook-fails'], {}, '1 passed, 1 failed', 1],
    [['all-pass', 'does-not-load'], {}, '2 passed, 1 failed', 1],
    [['no-such-file'], {}, '0 passed, 1 failed', 1],
  ])('of %j with %j is "%s", the exit code %i', (files, env, lastLine, exitCode) => {
    expect(run(files, env)).toMatchObject({ lastLine, exitCode });
  });
});

test('what was skipped, and what passed at the second try only, is said above the sum', () => {
  expect(run(['one-skips'], {}).output).toMatch(/^1 skipped$/m);
  expect(run(['all-pass'], {}).output).not.toMatch(/skipped|unsteady/);
  const unsteady = run(['one-unsteady'], { FIXTURE_RETRY: '1' });
  expect(unsteady).toMatchObject({ lastLine: '1 passed, 0 failed', exitCode: 0 });
  expect(unsteady.output).toMatch(
    /^unsteady, passed at the second try: .*one-unsteady.* > is right/m,
  );
  expect(run(['one-unsteady'], {})).toMatchObject({ lastLine: '0 passed, 1 failed', exitCode: 1 });
});

test('what failed is named right above the sum, with its message', () => {
  const { output } = run(['one-fails', 'hook-fails', 'does-not-load'], {});
  const end = output.slice(output.indexOf('failed: '));
  expect(end).toMatch(/^failed: one-fails\.ts > fails\n {2}expected 1 to be 2/m);
  expect(end).toMatch(/^failed: hook-fails\.ts\n {2}connections leaked/m);
  expect(end).toMatch(/^failed: does-not-load\.ts\n {2}not a test file today/m);
  expect(end).toMatch(/^2 passed, 3 failed$/m);
});

test('a skip is allowed by the full name of its test, not by a part of it', () => {
  const list = [{ test: 'a group > skips', reason: 'for this test' }];
  expect(isAllowedSkip('a group > skips', list)).toBe(true);
  expect(isAllowedSkip('skips', list)).toBe(false);
});

test('every allowed skip has a reason', () => {
  for (const { test: name, reason } of allowedSkips) expect(reason, name).toMatch(/\w+ \w+/);
});
