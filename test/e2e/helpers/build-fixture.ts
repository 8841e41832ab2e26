import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { moduleAliases } from '../../../scripts/bundle.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const cache = path.join(root, 'node_modules', '.cache', 'trace-console-fixtures');

/**
 * Bundles a fixture program as the console itself is bundled (tsx would take a second at each start).
 * The result lies in a folder of its own below node_modules/.cache, so that packages are found.
 */
export async function buildFixture(name: string): Promise<string> {
  const outdir = path.join(cache, `${path.parse(name).name}-${process.pid}`);
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: [path.join('test/e2e/fixtures', name)],
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    jsx: 'automatic',
    alias: moduleAliases,
    define: { 'process.env.NODE_ENV': '"production"' },
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return path.join(outdir, `${path.parse(name).name}.mjs`);
}
