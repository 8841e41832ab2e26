// Builds dist/: one ESM bundle a program, the schema's SQL inside.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import './embed-sql.mjs';
import { boundedInkCaches } from './esbuild-bounded-ink-caches.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));

fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });

await esbuild.build({
  absWorkingDir: root,
  entryPoints: { main: 'src/cli/main.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  jsx: 'automatic',
  legalComments: 'none',
  sourcemap: 'linked',
  sourcesContent: false,
  // PGlite finds its WASM files beside its own modules, so it stays a package.
  external: ['@electric-sql/*', 'pg-native'],
  alias: { 'react-devtools-core': path.join(root, 'scripts/empty-module.mjs') },
  define: {
    // Development React keeps about 415 KB of every render (measured); production does not.
    'process.env.NODE_ENV': '"production"',
    __TRACE_CONSOLE_VERSION__: JSON.stringify(version),
  },
  // pg and cli-table3 are CommonJS and call require() at run time.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  plugins: [boundedInkCaches],
  logLevel: 'warning',
});
