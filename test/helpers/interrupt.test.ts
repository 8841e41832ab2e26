import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { isRunning } from './server-folders.js';
import { runOnce } from './template.js';

const root = join(import.meta.dirname, '../..');

/** Our environment without what tells a process that it is a worker of this very run. */
function outerEnvironment(): NodeJS.ProcessEnv {
  const inner = /^(VITEST|TEST$|TEST_DATABASE_URL$|NODE_ENV$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !inner.test(name)));
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'a run that gets %s leaves no server behind, neither the shared one nor a private one',
  { timeout: 90_000 },
  async (signal) => {
    const runner = spawn(
      process.execPath,
      [
        ...['node_modules/vitest/vitest.mjs', 'run', '--config'],
        'test/helpers/fixtures/endless.config.ts',
      ],
      { cwd: root, env: outerEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    onTestFinished(() => void runner.kill('SIGKILL'));
    const line = await new Promise<string>((resolve, reject) => {
      const lines = createInterface(runner.stdout);
      const said: string[] = [];
      lines.on('line', (text) => (text.startsWith('{') ? resolve(text) : said.push(text)));
      lines.on('close', () => reject(new Error(said.join('\n'))));
    });
    const { urls, pid } = JSON.parse(line) as { urls: string[]; pid: number };
    for (const url of urls) expect(await runOnce(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);

    const exited = once(runner, 'exit');
    runner.kill(signal);
    const [code, endedBy] = (await exited) as [number | null, NodeJS.Signals | null];
    expect(code === 0 && endedBy === null).toBe(false);
    expect(isRunning(pid)).toBe(false);
    for (const url of urls) await expect(runOnce(url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
  },
);
