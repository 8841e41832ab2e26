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
import { isRunning } from './server-folders.js';
import { applySchemaFiles, runOnce } from './template.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The data folder that embedded test databases are copied from; empty on a run on a server. */
    embeddedTemplate: string;
  }
}

const run = promisify(execFile);
const cache = path.join(import.meta.dirname, '../../node_modules/.cache/trace-console');

/**
 * V8 compiles anew, and well, what has run for long: ten times later here, since an engine of a test lives for seconds. That is an
 * eighth of the processor time of these tests.
 */
const execArgv = ['--wasm-tiering-budget=18000000'];

/** A daemon that a killed test run left behind ends by itself after this. */
const idleExitMs = 120_000;

function programsIn(folder: string): Programs {
  const programs = builtPrograms(pathToFileURL(`${folder}/`));
  if (programs === undefined) throw new Error(`no programs of the embedded database in ${folder}`);
  return { ...programs, execArgv };
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
DELETE FROM pg_statistic WHERE starelid >= 16384;
SELECT pg_stat_reset()`;

type Started = { digest: string; dataDir: string; folders: string[] };

/** As many as may wait at once: about one for each worker. */
const mostSpares = 4;

/**
 * Databases as good as new, left by tests of any file, with their daemons running: starting another takes a second of a
 * core, and one that has run some time is quicker, for its WASM is compiled to the end. Each is a file here, which one
 * taker can rename.
 */
function sparesFolder(programs: string): string {
  return path.join(programs, 'spare-databases');
}

function keepSpare(programs: string, started: Started): boolean {
  const folder = sparesFolder(programs);
  fs.mkdirSync(folder, { recursive: true });
  if (fs.readdirSync(folder).length >= mostSpares) return false;
  const name = path.join(folder, path.basename(path.dirname(started.dataDir)));
  fs.writeFileSync(`${name}.new`, JSON.stringify(started));
  fs.renameSync(`${name}.new`, `${name}.json`);
  return true;
}

function takeSpare(programs: string): Started | undefined {
  const folder = sparesFolder(programs);
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  for (const name of names.filter((each) => each.endsWith('.json'))) {
    const taken = path.join(folder, `${name}.taken`);
    try {
      fs.renameSync(path.join(folder, name), taken);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    const started = JSON.parse(fs.readFileSync(taken, 'utf8')) as Started;
    fs.rmSync(taken);
    return started;
  }
  return undefined;
}

async function digestOf(url: string): Promise<string> {
  return (await runOnce<{ digest: string }>(url, catalogDigest))[0]?.digest ?? '';
}

async function throwAway({ dataDir, folders }: Started): Promise<void> {
  // Nothing of it is wanted any more: no checkpoint, no goodbye.
  const pid = (await embeddedStatus(dataDir))?.pid;
  if (pid !== undefined) {
    process.kill(pid, 'SIGKILL');
    while (isRunning(pid)) await sleep(5);
  }
  for (const folder of folders) {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

/** At the end of a run. @param programs the folder of its programs */
export async function removeSpareDatabases(programs: string): Promise<void> {
  for (let spare = takeSpare(programs); spare !== undefined; spare = takeSpare(programs)) {
    await throwAway(spare);
  }
}

async function clientsOf(dataDir: string): Promise<number> {
  const deadline = Date.now() + 2_000;
  for (;;) {
    const clients = (await embeddedStatus(dataDir))?.clients ?? 0;
    if (clients === 0 || Date.now() > deadline) return clients;
    await sleep(20);
  }
}

async function copyTemplate(options: { schema: boolean }): Promise<string> {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'tc-embedded-test-'));
  const dataDir = path.join(base, 'embedded');
  if (options.schema) {
    fs.mkdirSync(dataDir, { mode: 0o700 });
    const template = inFolder.postgres(inject('embeddedTemplate'));
    await run('cp', ['-a', template, inFolder.postgres(dataDir)]);
  } else await makePlainFolder(dataDir);
  return dataDir;
}

/**
 * A database of its own: a copy of the template's folder and a daemon on it, or one that an earlier
 * test has left unchanged but for its rows.
 */
export async function createEmbeddedDatabase(options: {
  schema: boolean;
  extensions: boolean;
}): Promise<EmbeddedDatabase> {
  const programs = inject('programs');
  const spare = options.schema ? takeSpare(programs) : undefined;
  const dataDir = spare?.dataDir ?? (await copyTemplate(options));
  // The daemon of a spare one may have ended by itself.
  const address = await openEmbedded({ dataDir, programs: programsIn(programs), idleExitMs });
  const url = urlOf(address);
  if (!options.schema && !options.extensions) {
    await runOnce(url, 'DROP EXTENSION vector; DROP EXTENSION "uuid-ossp"');
  }
  const started: Started = {
    digest: spare?.digest ?? (options.schema ? await digestOf(url) : ''),
    dataDir,
    folders: [address.host, path.dirname(dataDir)],
  };
  return {
    url,
    leaked: () => clientsOf(dataDir),
    async remove() {
      const isUnchanged =
        options.schema && (await digestOf(url).catch(() => '')) === started.digest;
      if (isUnchanged) await runOnce(url, emptyTables);
      if (!isUnchanged || !keepSpare(programs, started)) await throwAway(started);
    },
  };
}
