// Builds dist/: the bundled programs, and the template of the embedded database.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { provideTemplate } from './build-template.mjs';
import { bundle } from './bundle.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

await bundle(path.join(root, 'dist'));
await provideTemplate(
  path.join(root, 'dist/embedded-template.tar.gz'),
  path.join(root, 'node_modules/.cache/trace-console'),
);
