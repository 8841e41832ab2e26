// Runs the checks of the code side by side, for each keeps one core busy and no more, and prints what they say one after
// another; ends with 1 when one of them failed.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
// The generated modules are there before anything reads them.
import './embed-sql.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

function run(name) {
  return new Promise((resolve) => {
    const parts = [];
    const child = spawn('npm', ['run', '--silent', `check:${name}`], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (part) => parts.push(part));
    child.stderr.on('data', (part) => parts.push(part));
    child.on('error', (error) => parts.push(Buffer.from(`${error.message}\n`)));
    child.on('close', (code) => resolve({ name, code, output: Buffer.concat(parts).toString() }));
  });
}

// The longest first.
const checks = ['lint', 'types', 'format', 'layers'].map(run);
for (const check of checks) {
  const { name, code, output } = await check;
  process.stdout.write(output);
  if (code !== 0) {
    console.error(`check:${name} failed`);
    process.exitCode = 1;
  }
}
