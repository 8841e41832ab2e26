import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allowedSkips } from './allowed-skips.js';
import { formatSum, isAllowedSkip } from './sum-reporter.js';

const root = join(import.meta.dirname, '../..');

/** Runs fixture files in a vitest of their own. */
function run(
  files: string[],
  env: NodeJS.ProcessEnv,
): { lastLine: string; exitCode: number | null } {
  const outer = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|TEST$|NODE_ENV$|CI$)/.test(name),
  );
  const { stdout, status } = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      ...['run', '--config', 'test/reporters/fixtures/vitest.config.ts', ...files],
    ],
    { cwd: root, env: { ...Object.fromEntries(outer), ...env }, encoding: 'utf8' },
  );
  return { lastLine: stdout.split('\n').at(-2) ?? '', exitCode: status };
}

describe('the last line of a run', () => {
  test.each([
    [['all-pass'], {}, '2 passed, 0 failed', 0],
    [['all-pass'], { CI: 'true' }, '2 passed, 0 failed', 0],
    [['all-pass', 'one-fails'], {}, '3 passed, 1 failed', 1],
    [['one-skips'], {}, '1 passed, 0 failed, 1 skipped', 0],
    [['one-skips'], { CI: 'false' }, '1 passed, 0 failed, 1 skipped', 0],
    [['one-skips'], { CI: 'true' }, '1 passed, 1 failed', 1],
    [['hook-fails'], {}, '1 passed, 1 failed', 1],
    [['all-pass', 'does-not-load'], {}, '2 passed, 1 failed', 1],
    [['no-such-file'], {}, '0 passed, 1 failed', 1],
  ])('of %j with %j is "%s", the exit code %i', (files, env, lastLine, exitCode) => {
    expect(run(files, env)).toEqual({ lastLine, exitCode });
  });
});

test('skipped tests are named in the sum only when there are any', () => {
  expect(formatSum({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
  expect(formatSum({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped');
});

test('a skip is allowed by the full name of its test, not by a part of it', () => {
  const list = [{ test: 'a group > skips', reason: 'for this test' }];
  expect(isAllowedSkip('a group > skips', list)).toBe(true);
  expect(isAllowedSkip('skips', list)).toBe(false);
});

test('every allowed skip has a reason', () => {
  for (const { test: name, reason } of allowedSkips) expect(reason, name).toMatch(/\w+ \w+/);
});
