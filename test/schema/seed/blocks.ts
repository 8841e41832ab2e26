import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { localDeployment } from './local-deployment.js';
import { schemaReadme } from './schema-readme.js';

/**
 * The two documents that specify the schema hold 24 blocks of SQL, shell, configuration and code. Each is kept
 * here as it was printed, in its order (paths of its author's machine shortened to the file name), and run by one
 * of the seed-*.test.ts files. A block that cannot run as printed, or does not do what its text says, stands beside
 * it as `NAME.corrected.EXT`; what is wrong with it is a slip, which docs/troubleshooting.md must list.
 */
export type Block = {
  /** The file under this folder. */
  file: string;
  /** The section of its document. */
  section: string;
  runs: 'as printed' | 'corrected';
  /** What its test shows. */
  expectation: string;
  slips: readonly Slip[];
};

/** Words of the printed block, of the corrected one, and why they differ. */
export type Slip = { printed: string; corrected: string; reason: string };

export const blocks: readonly Block[] = [...schemaReadme, ...localDeployment];

/** The text of a block as printed. */
export function printed(file: string): string {
  return read(known(file).file);
}

/** The text of a block as it has to be. */
export function corrected(file: string): string {
  return read(correctedFile(known(file).file));
}

/** `a/01-b.sql` → `a/01-b.corrected.sql` */
export function correctedFile(file: string): string {
  return file.replace(/\.(\w+)$/, '.corrected.$1');
}

/** The path of a block's file, for psql and the shell. */
export function pathOf(file: string): string {
  return join(import.meta.dirname, file);
}

function known(file: string): Block {
  const block = blocks.find((candidate) => candidate.file === file);
  if (!block) throw new Error(`there is no block ${file}`);
  return block;
}

function read(file: string): string {
  return readFileSync(pathOf(file), 'utf8');
}
