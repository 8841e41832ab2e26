// Builds the template data folder: initdb and the extensions once, at build time, instead of at
// everybody's first start (4 to 14 s there, 0.2 s to unpack this).
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';
import { amcheck } from '@electric-sql/pglite/contrib/amcheck';
import { uuid_ossp } from '@electric-sql/pglite/contrib/uuid_ossp';
import { vector } from '@electric-sql/pglite-pgvector';

/** The header of a ustar entry: name, mode, size, type, checksum; owners and times left at zero. */
function tarHeader(name, size, type) {
  const header = Buffer.alloc(512);
  if (Buffer.byteLength(name) > 100) throw new Error(`name too long for the archive: ${name}`);
  header.write(name, 0);
  header.write(type === '5' ? '0000700' : '0000600', 100);
  header.write('0000000', 108);
  header.write('0000000', 116);
  header.write(size.toString(8).padStart(11, '0'), 124);
  header.write('00000000000', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148);
  return header;
}

/** A folder as a tar archive: files and folders, names sorted, so that equal folders are equal. */
function tar(folder) {
  const parts = [];
  const names = fs.readdirSync(folder, { recursive: true }).sort();
  for (const name of names) {
    const file = path.join(folder, name);
    if (fs.statSync(file).isDirectory()) {
      parts.push(tarHeader(`${name}/`, 0, '5'));
      continue;
    }
    const data = fs.readFileSync(file);
    parts.push(tarHeader(name, data.length, '0'), data);
    parts.push(Buffer.alloc((512 - (data.length % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** What the template depends on: this program and the packages it runs. */
function fingerprint() {
  const packages = ['@electric-sql/pglite', '@electric-sql/pglite-pgvector'].map((name) => {
    const entry = createRequire(import.meta.url).resolve(name);
    return fs.readFileSync(path.join(path.dirname(entry), '..', 'package.json'));
  });
  const hash = createHash('sha256').update(fs.readFileSync(fileURLToPath(import.meta.url)));
  for (const text of packages) hash.update(text);
  return hash.digest('hex').slice(0, 16);
}

/**
 * Copies the template archive to `target`, building it when the one in the cache is of other
 * packages: a second build takes no time.
 */
export async function provideTemplate(target, cacheFolder) {
  const cached = path.join(cacheFolder, `embedded-template-${fingerprint()}.tar.gz`);
  if (!fs.existsSync(cached)) {
    fs.mkdirSync(cacheFolder, { recursive: true });
    const draft = `${cached}.${process.pid}`;
    await buildTemplate(draft);
    fs.renameSync(draft, cached);
  }
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(cached, target);
}

/** Writes the template archive to `target`; throws when anything about it fails. */
async function buildTemplate(target) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-template-'));
  try {
    const options = {
      dataDir: path.join(folder, 'postgres'),
      extensions: { vector, uuid_ossp, amcheck },
      // Segments of 1 MB instead of 16: a new folder is smaller, and so is what a checkpoint leaves.
      initDbStartParams: ['--wal-segsize=1'],
    };
    const db = await PGlite.create(options);
    await db.exec('CREATE EXTENSION vector; CREATE EXTENSION "uuid-ossp";');
    await db.exec('VACUUM (FREEZE, ANALYZE)');
    await db.exec('CHECKPOINT');
    await db.close();
    if (!fs.existsSync(path.join(options.dataDir, 'PG_VERSION'))) {
      throw new Error('initdb made no database');
    }
    fs.writeFileSync(target, gzipSync(tar(options.dataDir), { level: 6 }));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
