import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { plainTemplate } from '../../scripts/build-template.mjs';
import { builtPrograms, type Programs } from '../../src/embedded/daemon/programs.js';
import { inFolder } from '../../src/embedded/folder/paths.js';
import { unpackTemplate } from '../../src/embedded/folder/template.js';
import {
  embeddedStatus,
  openEmbedded,
  stopEmbedded,
  type EmbeddedAddress,
} from '../../src/embedded/running.js';
import { applySchemaFiles, runOnce } from './template.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The data folder that embedded test databases are copied from; empty on a run on a server. */
    embeddedTemplate: string;
  }
}

const run = promisify(execFile);
const cache = path.join(import.meta.dirname, '../../node_modules/.cache/trace-console');

/** A daemon that a killed test run left behind ends by itself after this. */
const idleExitMs = 120_000;

function programsIn(folder: string): Programs {
  const programs = builtPrograms(pathToFileURL(`${folder}/`));
  if (programs === undefined) throw new Error(`no programs of the embedded database in ${folder}`);
  return programs;
}

function urlOf({ host, port, user, database }: EmbeddedAddress): string {
  const place = new URLSearchParams({ host, port: String(port) });
  return `postgresql://${user}@localhost/${database}?${place.toString()}`;
}

/** A data folder whose database has the extensions and nothing else. */
async function makePlainFolder(dataDir: string): Promise<void> {
  fs.mkdirSync(dataDir, { mode: 0o700 });
  await unpackTemplate(await plainTemplate(cache), inFolder.postgres(dataDir), () => undefined);
}

/** Once a run: a data folder with all schema files applied, as the databases of a server have them. @returns the folder */
export async function makeEmbeddedTemplate(programsFolder: string): Promise<string> {
  const dataDir = path.join(programsFolder, 'embedded-with-schema');
  await makePlainFolder(dataDir);
  const address = await openEmbedded({ dataDir, programs: programsIn(programsFolder), idleExitMs });
  await applySchemaFiles(urlOf(address));
  await stopEmbedded(dataDir);
  return dataDir;
}

export type EmbeddedDatabase = {
  url: string;
  /** Connections that somebody has not closed, after a moment's patience. */
  leaked(): Promise<number>;
  remove(): Promise<void>;
};

/** What a test may leave changed besides rows: then the database is thrown away. */
const catalogDigest = `
SELECT md5(string_agg(object, E'\\n' ORDER BY object)) AS digest FROM (
  SELECT 'class ' || c.oid || c.relname || c.relowner || c.relrowsecurity || COALESCE(c.relacl::text, '')
    || COALESCE(c.reloptions::text, '') || COALESCE(i.indisvalid::text, '') FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
  UNION ALL SELECT 'column ' || attrelid || attname || atttypid || atttypmod || attnotnull || atthasdef FROM pg_attribute WHERE attrelid > 16000
  UNION ALL SELECT 'constraint ' || oid || conname || convalidated FROM pg_constraint
  UNION ALL SELECT 'function ' || oid || md5(prosrc) || COALESCE(proacl::text, '') || COALESCE(proconfig::text, '') FROM pg_proc
  UNION ALL SELECT 'trigger ' || oid || tgenabled::text FROM pg_trigger
  UNION ALL SELECT 'policy ' || oid FROM pg_policy
  UNION ALL SELECT 'schema ' || oid || nspname || COALESCE(nspacl::text, '') FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
  UNION ALL SELECT 'role ' || oid || rolname FROM pg_roles
  UNION ALL SELECT 'extension ' || oid || extversion FROM pg_extension
  UNION ALL SELECT 'setting ' || setconfig::text FROM pg_db_role_setting
) AS objects (object)`;

const emptyTables = `
DO $$ DECLARE name regclass; BEGIN
  FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND pg_relation_size(oid) > 0
  LOOP EXECUTE format('TRUNCATE %s CASCADE', name); END LOOP;
  TRUNCATE trace_console.kept_index_counters, trace_console.kept_table_counters;
END $$;
SELECT pg_stat_reset()`;

/** Databases as good as new, of this test file; starting another takes half a second of a core. */
const spare: { url: string; digest: string; dataDir: string; folders: string[] }[] = [];

async function digestOf(url: string): Promise<string> {
  return (await runOnce<{ digest: string }>(url, catalogDigest))[0]?.digest ?? '';
}

async function throwAway(dataDir: string, folders: readonly string[]): Promise<void> {
  // Nothing of it is wanted any more: no checkpoint, no goodbye.
  const pid = (await embeddedStatus(dataDir))?.pid;
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  for (const folder of folders) {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

/** At the end of a test file. */
export async function removeSpareDatabases(): Promise<void> {
  for (const { dataDir, folders } of spare.splice(0)) await throwAway(dataDir, folders);
}

async function clientsOf(dataDir: string): Promise<number> {
  const deadline = Date.now() + 2_000;
  for (;;) {
    const clients = (await embeddedStatus(dataDir))?.clients ?? 0;
    if (clients === 0 || Date.now() > deadline) return clients;
    await sleep(20);
  }
}

async function start(options: { schema: boolean; extensions: boolean }) {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'tc-embedded-test-'));
  const dataDir = path.join(base, 'embedded');
  if (options.schema) {
    fs.mkdirSync(dataDir, { mode: 0o700 });
    const template = inFolder.postgres(inject('embeddedTemplate'));
    await run('cp', ['-a', template, inFolder.postgres(dataDir)]);
  } else await makePlainFolder(dataDir);
  const address = await openEmbedded({
    dataDir,
    programs: programsIn(inject('programs')),
    idleExitMs,
  });
  const url = urlOf(address);
  if (!options.schema && !options.extensions) {
    await runOnce(url, 'DROP EXTENSION vector; DROP EXTENSION "uuid-ossp"');
  }
  const digest = options.schema ? await digestOf(url) : '';
  return { url, digest, dataDir, folders: [address.host, base] };
}

/**
 * A database of its own: a copy of the template's folder and a daemon on it, or one that an earlier
 * test has left unchanged but for its rows.
 */
export async function createEmbeddedDatabase(options: {
  schema: boolean;
  extensions: boolean;
}): Promise<EmbeddedDatabase> {
  const started = (options.schema ? spare.pop() : undefined) ?? (await start(options));
  const { url, digest, dataDir, folders } = started;
  return {
    url,
    leaked: () => clientsOf(dataDir),
    async remove() {
      const isUnchanged = options.schema && (await digestOf(url).catch(() => '')) === digest;
      if (isUnchanged) {
        await runOnce(url, emptyTables);
        spare.push(started);
      } else await throwAway(dataDir, folders);
    },
  };
}
