import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { draftOf } from './paths.js';
import { schemaDigest } from '../../core/schema-digest.generated.js';

export type Progress = (step: { message: string; done?: number; total?: number }) => void;

/** Files written between two progress reports. */
const reportEvery = 100;

/** The entry that names the schema in a template, by the digest of its files; a plain one has none. */
const schemaEntry = 'trace-console-schema';

/**
 * Unpacks the template into a new folder. It is written beside its place and renamed when it is
 * whole, so that an interrupted first start leaves nothing that looks like a database.
 *
 * @returns what the new folder holds; `undefined`: nothing was made of it, the template is of another version of the schema
 */
export async function unpackTemplate(
  archive: string,
  folder: string,
  progress: Progress,
): Promise<{ hasSchema: boolean } | undefined> {
  const message = 'Creating the embedded database';
  progress({ message });
  const tar = await promisify(gunzip)(await fs.promises.readFile(archive));
  const all = [...readTar(tar)];
  const schema = all.find(({ name }) => name === schemaEntry);
  if (schema !== undefined && schema.data.toString() !== schemaDigest) return undefined;
  const entries = all.filter((entry) => entry !== schema);
  const draft = draftOf(folder);
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
  return { hasSchema: schema !== undefined };
}

/** A file or folder of a tar archive. */
export type TarEntry = { name: string; folder: boolean; data: Buffer };

const block = 512;

function text(header: Buffer, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const zero = field.indexOf(0);
  return field.toString('utf8', 0, zero < 0 ? length : zero);
}

/** Reads a plain (ustar) archive as PGlite's dumpDataDir writes it: files and folders only. */
export function* readTar(archive: Buffer): Generator<TarEntry> {
  let offset = 0;
  while (offset + block <= archive.length) {
    const header = archive.subarray(offset, offset + block);
    if (header[0] === 0) return;
    const prefix = text(header, 345, 155);
    const name = (prefix === '' ? '' : `${prefix}/`) + text(header, 0, 100);
    const size = Number.parseInt(text(header, 124, 12).trim() || '0', 8);
    const type = String.fromCharCode(header[156] ?? 0);
    if (!Number.isSafeInteger(size) || !'0\u00005'.includes(type)) {
      throw new Error(`the archive has an entry of an unknown kind: ${name}`);
    }
    offset += block;
    const data = archive.subarray(offset, offset + size);
    if (data.length !== size) throw new Error('the archive is cut off');
    yield { name: name.replace(/^\/+/, ''), folder: type === '5', data };
    offset += Math.ceil(size / block) * block;
  }
}
