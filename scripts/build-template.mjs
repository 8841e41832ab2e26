// Builds the template data folders: initdb, the extensions and the schema once, at build time, instead of at
// everybody's first start (initdb 4 to 14 s, the schema 0.5 to 0.9 s; 0.4 s to unpack this).
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';
import { amcheck } from '@electric-sql/pglite/contrib/amcheck';
import { uuid_ossp } from '@electric-sql/pglite/contrib/uuid_ossp';
import { vector } from '@electric-sql/pglite-pgvector';
import { schemaDigest } from './embed-sql.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** The entry of an archive that names the schema in it; src/embedded/folder/template.ts asks for it. */
const schemaEntry = 'trace-console-schema';

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
function tar(folder, schema) {
  const parts = schema === undefined ? [] : tarFile(schemaEntry, Buffer.from(schema));
  const names = fs.readdirSync(folder, { recursive: true }).sort();
  for (const name of names) {
    const file = path.join(folder, name);
    if (fs.statSync(file).isDirectory()) parts.push(tarHeader(`${name}/`, 0, '5'));
    else parts.push(...tarFile(name, fs.readFileSync(file)));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function tarFile(name, data) {
  return [tarHeader(name, data.length, '0'), data, Buffer.alloc((512 - (data.length % 512)) % 512)];
}

/** What a template depends on: this program, the packages it runs, and for one with the schema what applies that. */
function fingerprint(withSchema) {
  const packages = ['@electric-sql/pglite', '@electric-sql/pglite-pgvector'].map((name) =>
    path.join(path.dirname(createRequire(import.meta.url).resolve(name)), '..', 'package.json'),
  );
  const folder = path.join(root, 'src/deploy');
  const applying = fs.readdirSync(folder).map((name) => path.join(folder, name));
  const files = withSchema ? [path.join(root, 'package.json'), ...applying.sort()] : [];
  const hash = createHash('sha256');
  for (const file of [fileURLToPath(import.meta.url), ...packages, ...files]) {
    hash.update(fs.readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * Copies the template archive to `target`, building it when the one in the cache is of other packages or of
 * another schema: a second build takes no time. The programs of a build stand beside `target`.
 */
export async function provideTemplate(target, cacheFolder) {
  const cached = await fromCache(cacheFolder, `embedded-template-${fingerprint(true)}`, (draft) =>
    buildTemplate(draft, path.dirname(target)),
  );
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(cached, target);
}

/** The archive of a database with the extensions and without the schema, for tests. */
export function plainTemplate(cacheFolder) {
  return fromCache(cacheFolder, `embedded-plain-${fingerprint(false)}`, (draft) =>
    buildTemplate(draft, undefined),
  );
}

async function fromCache(folder, name, build) {
  const cached = path.join(folder, `${name}.tar.gz`);
  if (fs.existsSync(cached)) return cached;
  fs.mkdirSync(folder, { recursive: true });
  const draft = `${cached}.${process.pid}`;
  await build(draft);
  fs.renameSync(draft, cached);
  return cached;
}

/** Writes the template archive to `target`; throws when anything about it fails. */
async function buildTemplate(target, programs) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-template-'));
  fs.chmodSync(folder, 0o700);
  try {
    const dataDir = path.join(folder, 'postgres');
    // Segments of 1 MB instead of 16: a new folder is smaller, and so is what a checkpoint leaves.
    await inDatabase(
      { dataDir, initDbStartParams: ['--wal-segsize=1'] },
      'CREATE EXTENSION vector; CREATE EXTENSION "uuid-ossp"',
      'VACUUM (FREEZE, ANALYZE)',
    );
    if (!fs.existsSync(path.join(dataDir, 'PG_VERSION'))) {
      throw new Error('initdb made no database');
    }
    if (programs !== undefined) await applySchema(programs, folder, dataDir);
    const schema = programs === undefined ? undefined : schemaDigest;
    fs.writeFileSync(target, gzipSync(tar(dataDir, schema), { level: 6 }));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function inDatabase(options, ...statements) {
  const db = await PGlite.create({
    ...options,
    extensions: { vector, uuid_ossp, amcheck },
    // The last checkpoint leaves no more segments than that: old ones would make a third of the archive.
    startParams: [
      ...PGlite.defaultStartParams,
      ...['-c', 'min_wal_size=2MB', '-c', 'max_wal_size=2MB'],
    ],
  });
  for (const statement of [...statements, 'CHECKPOINT']) await db.exec(statement);
  await db.close();
}

/** By the program itself, so that what is there, the ledger included, is what a first start would have made. */
async function applySchema(programs, folder, dataDir) {
  const trace = (...args) =>
    promisify(execFile)(
      process.execPath,
      [path.join(programs, 'main.js'), ...args, '--data-dir', folder],
      // Nothing of who builds it: no config file, no other database.
      { env: { PATH: process.env.PATH, HOME: folder, TMPDIR: os.tmpdir() } },
    );
  try {
    await trace('schema', 'apply');
  } finally {
    await trace('embedded', 'stop');
  }
  // What its engine has counted while the schema came: everybody's counters begin with their own first start.
  await inDatabase(
    { dataDir },
    'TRUNCATE trace_console.kept_index_counters, trace_console.kept_table_counters',
  );
}
