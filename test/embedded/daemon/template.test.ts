import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { plainTemplate } from '../../../scripts/build-template.mjs';
import { schemaDigest } from '../../../src/core/schema-digest.generated.js';
import { readCatalogue } from '../../../src/deploy/catalogue.js';
import { applySchema, planApply } from '../../../src/deploy/apply.js';
import { verifySchema } from '../../../src/deploy/compare.js';
import { consoleFiles, schemaFiles } from '../../../src/deploy/schema-files.js';
import type { Database } from '../../../src/db/database.js';
import { builtPrograms } from '../../../src/embedded/daemon/programs.js';
import { testPrograms } from '../programs.js';
import { openDatabase, TestFolder } from './folder.js';

// A database is made by initdb on the way, on a machine that may be busy.
vi.setConfig({ testTimeout: 180_000 });

const cache = path.join(import.meta.dirname, '../../../node_modules/.cache/trace-console');

let folders: TestFolder[];

beforeEach(() => {
  folders = [];
});

afterEach(async () => {
  for (const folder of folders) await folder.remove();
});

function newFolder(): TestFolder {
  const folder = new TestFolder();
  folders.push(folder);
  return folder;
}

/** A first start of programs with this template beside them, and what `look` finds in it. */
async function firstStart<Found>(
  template: string,
  look: (database: Database, folder: TestFolder) => Promise<Found>,
): Promise<Found> {
  const folder = newFolder();
  const { daemon } = await testPrograms();
  const copy = path.join(folder.base, 'programs');
  fs.cpSync(path.dirname(daemon), copy, {
    recursive: true,
    filter: (name) => !/embedded-(template|with)/.test(path.basename(name)),
  });
  fs.copyFileSync(template, path.join(copy, 'embedded-template.tar.gz'));
  // Packages are found from where the programs lie.
  const packages = path.resolve(import.meta.dirname, '../../../node_modules');
  fs.symlinkSync(packages, path.join(folder.base, 'node_modules'));
  const programs = builtPrograms(pathToFileURL(`${copy}/`));
  if (programs === undefined) throw new Error('no copy');
  const database = await openDatabase(folder, await folder.open({ programs }));
  try {
    return await look(database, folder);
  } finally {
    await database.close();
  }
}

const ledger = (database: Database) =>
  database.read<{ target_schema: string; file: string; checksum: string }>(
    `SELECT target_schema::text, file, checksum FROM trace_console.schema_files ORDER BY 1, 2`,
  );

/** What a new database holds beside rows: objects, settings, comments, rights, and the ledger. */
const contents = async (database: Database) => ({
  catalogue: await database.transaction({}, (tx) => readCatalogue(tx, 'public')),
  console: await database.read(
    `SELECT c.relname, c.relkind, c.relacl::text, obj_description(c.oid) AS comment,
       (SELECT array_agg(attname || format_type(atttypid, atttypmod) ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)::text AS columns
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('public', 'trace_console') ORDER BY n.nspname, c.relname`,
  ),
  settings: await database.read('SELECT setconfig::text FROM pg_db_role_setting'),
  ledger: await ledger(database),
});

test('a first start from the template is what a fresh apply makes, and needs none', async () => {
  const { template = '' } = await testPrograms();
  const fresh = await firstStart(await plainTemplate(cache), async (database) => {
    expect((await planApply(database)).kind).toBe('new');
    await applySchema(database);
    return contents(database);
  });
  await firstStart(template, async (database) => {
    const begun = Date.now();
    expect((await planApply(database)).kind).toBe('complete');
    expect(await verifySchema(database)).toMatchObject({ ok: true, differences: [] });
    const found = await contents(database);
    expect(found).toEqual(fresh);
    const expected = [
      ...schemaFiles.map(({ name, checksum }) => ['public', name, checksum]),
      ...consoleFiles.map(({ name, checksum }) => ['trace_console', name, checksum]),
    ];
    expect(found.ledger.map((row) => [row.target_schema, row.file, row.checksum])).toEqual(
      expected,
    );
    // It was applied here and now, not where the template was built; nothing was counted before.
    const [since] = await database.read<{ applied: number; counted: number; rows: number }>(
      `SELECT (extract(epoch FROM min(applied_at)) * 1000)::float8 AS applied,
         (SELECT extract(epoch FROM min(since)) * 1000 FROM trace_console.index_counters)::float8 AS counted,
         (SELECT count(*) FROM execution_traces)::int AS rows
       FROM trace_console.schema_files`,
    );
    expect(since?.rows).toBe(0);
    for (const ms of [since?.applied ?? 0, since?.counted ?? 0]) {
      expect(begun - ms).toBeLessThan(60_000);
    }
  });
});

test('a template of another version of the schema is never used', async () => {
  const { template = '' } = await testPrograms();
  const tar = gunzipSync(fs.readFileSync(template));
  const at = tar.indexOf(schemaDigest);
  expect(at).toBeGreaterThan(0);
  tar.write('0'.repeat(schemaDigest.length), at);
  const other = path.join(newFolder().base, 'other.tar.gz');
  fs.writeFileSync(other, gzipSync(tar, { level: 1 }));
  await firstStart(other, async (database, folder) => {
    expect((await planApply(database)).kind).toBe('new');
    expect(
      await database.read('SELECT 1 FROM pg_tables WHERE schemaname = $1', ['public']),
    ).toEqual([]);
    expect(fs.readdirSync(folder.dataDir)).not.toContain('postgres.new');
  });
});
