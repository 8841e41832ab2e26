// Runs a benchmark by its name: `npm run bench -- console --seconds 60`; without a name it lists them.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const names = readdirSync(path.join(root, 'bench'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace(/\.ts$/, ''));
const [name, ...args] = process.argv.slice(2);

if (!name || !names.includes(name)) {
  process.stderr.write(`Usage: npm run bench -- NAME [FLAGS]\nBenchmarks: ${names.join(', ')}\n`);
  process.exit(2);
}

const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', path.join(root, `bench/${name}.ts`), ...args],
  { cwd: root, stdio: 'inherit' },
);
process.exit(status ?? 1);
