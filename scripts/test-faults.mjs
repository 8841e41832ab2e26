// Runs the tests of docs/faults.md on each version of PostgreSQL that is to be had.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const page = fs.readFileSync(path.join(root, 'docs/faults.md'), 'utf8');
const files = [
  ...new Set([...page.matchAll(/`([a-z0-9/-]+\.test\.ts)`/g)].map(([, file]) => `test/${file}`)),
];
const environment = { ...process.env };
delete environment.TEST_DATABASE_URL;
// The whole run takes ten.
environment.TRACE_CONSOLE_CHAOS_MINUTES ??= '1.5';

let status = 0;
for (const version of ['17', '18']) {
  const run = spawnSync('npx', ['vitest', 'run', ...files], {
    cwd: root,
    env: { ...environment, TRACE_CONSOLE_TEST_PG: version },
    stdio: 'inherit',
  });
  status ||= run.status ?? 1;
}
process.exitCode = status;
