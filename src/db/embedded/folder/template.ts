import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readTar } from './tar.js';

export type Progress = (step: { message: string; done?: number; total?: number }) => void;

/** Files written between two progress reports. */
const reportEvery = 100;

/**
 * Unpacks the template into a new folder. It is written beside its place and renamed when it is
 * whole, so that an interrupted first start leaves nothing that looks like a database.
 */
export async function unpackTemplate(
  archive: string,
  folder: string,
  progress: Progress,
): Promise<void> {
  const message = 'Creating the embedded database';
  progress({ message });
  const tar = await promisify(gunzip)(await fs.promises.readFile(archive));
  const entries = [...readTar(tar)];
  const draft = `${folder}.new`;
  fs.rmSync(draft, { recursive: true, force: true });
  fs.mkdirSync(draft, { mode: 0o700 });
  for (const [index, entry] of entries.entries()) {
    const file = path.join(draft, entry.name);
    if (!file.startsWith(draft + path.sep)) throw new Error('the template leaves its folder');
    if (entry.folder) fs.mkdirSync(file, { recursive: true, mode: 0o700 });
    else {
      fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      fs.writeFileSync(file, entry.data, { mode: 0o600 });
    }
    if (index % reportEvery === 0) {
      progress({ message, done: index, total: entries.length });
      await new Promise(setImmediate);
    }
  }
  fs.renameSync(draft, folder);
  progress({ message, done: entries.length, total: entries.length });
}
