// Builds dist/: the bundled programs, the manual page, and the template of the embedded database.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { provideTemplate } from './build-template.mjs';
import { bundle } from './bundle.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

await bundle(path.join(root, 'dist'));
const { stdout: page } = await promisify(execFile)(process.execPath, [
  path.join(root, 'dist/main.js'),
  'man',
]);
fs.writeFileSync(path.join(root, 'dist/trace-console.1'), page);
await provideTemplate(
  path.join(root, 'dist/embedded-template.tar.gz'),
  path.join(root, 'node_modules/.cache/trace-console'),
);
