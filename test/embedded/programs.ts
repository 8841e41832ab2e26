import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inject } from 'vitest';
import { provideTemplate } from '../../scripts/build-template.mjs';
import { builtPrograms, type Programs } from '../../src/embedded/daemon/programs.js';

const cache = path.join(import.meta.dirname, '../../node_modules/.cache/trace-console');

/** The bundled programs of this test run, with the template data folder beside them. */
export async function testPrograms(): Promise<Programs> {
  const folder = inject('programs');
  const template = path.join(folder, 'embedded-template.tar.gz');
  if (!fs.existsSync(template)) {
    const draft = `${template}.${process.pid}`;
    await provideTemplate(draft, cache);
    fs.renameSync(draft, template);
  }
  const programs = builtPrograms(pathToFileURL(`${folder}/`));
  if (programs === undefined) throw new Error(`no programs of the embedded database in ${folder}`);
  return programs;
}
