// Bundles the programs into a folder: ESM, one file a program and shared chunks, the schema's SQL
// inside. Used by the build, and by the tests, which run what users run.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import './embed-sql.mjs';
import { boundedInkCaches } from './esbuild-bounded-ink-caches.mjs';
import { fastInk } from './esbuild-fast-ink.mjs';
import { lateEmoji } from './esbuild-late-emoji.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** @param {string} outdir emptied first */
export async function bundle(outdir) {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  fs.rmSync(outdir, { recursive: true, force: true });
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: {
      main: 'src/cli/main.ts',
      'embedded-daemon': 'src/db/embedded/daemon/main.ts',
      'embedded-worker': 'src/db/embedded/engine/worker.ts',
    },
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    jsx: 'automatic',
    // Less to parse before the first frame; names stay as they are in stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    // PGlite finds its WASM files beside its own modules, so it stays a package.
    external: ['@electric-sql/*', 'pg-native'],
    alias: { 'react-devtools-core': path.join(root, 'scripts/empty-module.mjs') },
    define: {
      // Development React keeps about 415 KB of every render (measured); production does not.
      'process.env.NODE_ENV': '"production"',
      // pg looks for a web worker by it, and Node loads its fetch for that: 15 ms of the first frame.
      Response: 'undefined',
      __TRACE_CONSOLE_VERSION__: JSON.stringify(version),
    },
    // pg and cli-table3 are CommonJS and call require() at run time.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [boundedInkCaches, fastInk, lateEmoji],
    logLevel: 'warning',
  });
}
