import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { provision } from '../../helpers/provision.js';
import { testServer } from '../../helpers/server.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../..');

export type ShellResult = { stdout: string; stderr: string; exitCode: number };

/** A folder for one test, with the schema files under schema/ as in a checkout. */
export function checkout(): string {
  const folder = mkdtempSync(join(tmpdir(), 'seed-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  symlinkSync(join(root, 'schema'), join(folder, 'schema'));
  return folder;
}

/**
 * Runs a script with bash, stopping at its first error, where psql and `trace-console` (from source) are on PATH.
 * `programs` are more of them, by name and text. The URLs in `env` lose their password to PGPASSWORD, since the process
 * list shows arguments to everybody.
 */
export async function bash(
  script: string,
  options: { cwd: string; env?: Record<string, string>; programs?: Record<string, string> },
): Promise<ShellResult> {
  const programs = mkdtempSync(join(tmpdir(), 'seed-bin-'));
  try {
    const texts = {
      'trace-console': `exec '${root}/node_modules/.bin/tsx' '${root}/src/cli/main.ts' "$@"`,
      ...options.programs,
    };
    for (const [name, text] of Object.entries(texts)) {
      writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`);
      chmodSync(join(programs, name), 0o755);
    }
    const binDir = testServer().binDir ?? (await provision()).binDir;
    const { stdout, stderr } = await run(
      'bash',
      ['--norc', '-eu', '-o', 'pipefail', '-c', script],
      {
        cwd: options.cwd,
        env: {
          PATH: `${programs}:${binDir}:${process.env.PATH ?? ''}`,
          HOME: options.cwd,
          LC_ALL: 'C.UTF-8',
          PSQLRC: '/dev/null',
          ...withoutPasswords(options.env ?? {}),
        },
        maxBuffer: 64 * 1024 * 1024,
      },
    );
    return { stdout, stderr, exitCode: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: unknown };
    if (typeof code !== 'number') throw error;
    return { stdout, stderr, exitCode: code };
  } finally {
    rmSync(programs, { recursive: true });
  }
}

function withoutPasswords(env: Record<string, string>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    result[name] = value;
    if (!/^postgres(ql)?:/.test(value)) continue;
    const url = new URL(value);
    if (url.password) result.PGPASSWORD = decodeURIComponent(url.password);
    url.password = '';
    result[name] = url.href;
  }
  return result;
}
