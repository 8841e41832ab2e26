import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type Output from '../../../src/terminal/ink/output.js';

/** Ink's own class, which its package does not export. */
export async function inkOutput(): Promise<typeof Output> {
  const ink = createRequire(import.meta.url).resolve('ink');
  const file = path.join(path.dirname(ink), 'output.js');
  const module = (await import(pathToFileURL(file).href)) as { default: typeof Output };
  return module.default;
}
