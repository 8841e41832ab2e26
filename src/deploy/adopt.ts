import { byOwnKey } from '../core/values.js';
import type { Database } from '../db/database.js';
import type { Queryable } from '../db/queryable.js';
import { quoteIdent } from '../db/quote.js';
import { readCatalogue, type Catalogue, manifest } from './catalogue.js';
import {
  createdObjects,
  earlierSignatures,
  isEarlierView,
  migrate,
  pendingMigrations,
  isOfFamily,
  type TypeFamily,
} from './judge.js';
import { earlierVersion, functionProblem } from './compare.js';
import { lostConsoleTables, openLedger } from './console-schema.js';
import type { ApplyOptions, ApplyResult, ColumnAddition, Plan } from './plan.js';
import { indexFile, rowSecurityFile, schemaFiles, type SchemaFile } from './schema-files.js';

/** Runs work in a transaction of its own, in turn with other consoles. */
export type InTurn = <Result>(work: (tx: Queryable) => Promise<Result>) => Promise<Result>;

/**
 * Creates what a deployed database lacks, around what is there. Every addition is a short
 * transaction of its own, so that no lock on a table in use outlives it; one that fails, or that
 * would change an object which was there before, is undone and reported, and the rest goes on.
 *
 * Indexes are built apart (build-indexes.ts). Row-level security is switched on only when asked,
 * since it would stop the writers of a database that runs without it. Where it is on, a table that is
 * created gets it at once, still without policies: default privileges (Supabase has some) may have
 * opened it to everybody.
 */
export async function adopt(
  database: Database,
  inTurn: InTurn,
  plan: Plan,
  options: ApplyOptions,
): Promise<ApplyResult> {
  const files = schemaFiles.filter(
    ({ name }) => name !== indexFile && (options.rls === true || name !== rowSecurityFile),
  );
  const migrations = schemaFiles.filter(({ name }) => plan.migrations.includes(name));
  const additions = [
    ...migrations.map((file) => ({
      name: file.name,
      run: () => attempt(inTurn, (tx) => migrateIfPending(tx, database, file)),
    })),
    ...plan.lostConsoleTables.slice(0, 1).map(() => ({
      name: plan.lostConsoleTables.join(', '),
      run: () => attempt(inTurn, remakeConsoleTables),
    })),
    ...plan.addColumns.map((addition) => ({
      name: `column ${addition.table}.${addition.name}`,
      run: () => attempt(inTurn, (tx) => addColumn(tx, database, addition)),
    })),
    ...files.map((file) => ({
      name: file.name,
      run: () => runStatements(database, inTurn, file),
    })),
  ];
  const isProtected = Object.values(database.capabilities.tables).some(
    (table) => table?.rowSecurity,
  );
  if (isProtected) {
    additions.push(
      ...plan.missingTables.map((table) => ({
        name: `row-level security of ${table}`,
        run: () => attempt(inTurn, (tx) => protect(tx, database, table)),
      })),
    );
  }
  const result: ApplyResult = { plan, applied: [], failed: [] };
  for (const [position, { name, run }] of additions.entries()) {
    const { changed, failures } = await run();
    if (changed) result.applied.push(name);
    result.failed.push(...failures.map((reason) => ({ name, reason })));
    options.onProgress?.({
      index: position + 1,
      total: additions.length,
      name,
      outcome:
        failures.length > 0 ? failures.join('; ') : changed ? 'created' : 'nothing to create',
    });
  }
  return result;
}

type Outcome = { changed: boolean; failures: string[] };

async function runStatements(
  database: Database,
  inTurn: InTurn,
  file: SchemaFile,
): Promise<Outcome> {
  const { schema } = database.capabilities;
  const failures: string[] = [];
  const before = await inTurn((tx) => readCatalogue(tx, schema));
  let current = before;
  for (const statement of splitStatements(file.sql)) {
    if (isReplacedLater(statement, current)) continue;
    try {
      current = await inTurn(async (tx) => {
        const obstacle = triggerObstacle(statement, current);
        if (obstacle !== undefined) throw new Error(`no trigger was added: ${obstacle}`);
        await tx.query(statement);
        const after = await readCatalogue(tx, schema);
        const touched = changedFrom(current, after, file.name === rowSecurityFile).filter(
          (name) =>
            !isEarlierView(name, current) && !earlierSignatures(name, current).includes(name),
        );
        if (touched.length > 0) throw new Error(`it would change ${touched.join(', ')}`);
        return after;
      });
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  return { changed: JSON.stringify(before) !== JSON.stringify(current), failures };
}

/**
 * Why a trigger of ours would harm the table that a statement adds it to: its function is not ours (one of that
 * name was there before), or a column has a type that the function cannot work with, so that the writer's own
 * statement would fail.
 */
function triggerObstacle(statement: string, catalogue: Catalogue): string | undefined {
  const key = Object.keys(manifest.triggers).find((name) =>
    statement.includes(`CREATE TRIGGER ${name.slice(name.indexOf('.') + 1)} `),
  );
  const trigger = key === undefined ? undefined : byOwnKey(manifest.triggers, key);
  if (key === undefined || !trigger) return undefined;
  const problem = functionProblem(`${trigger.function}()`, catalogue);
  if (problem !== undefined && problem !== earlierVersion) {
    return `the function ${trigger.function}() is not ours: it ${problem}`;
  }
  const table = key.slice(0, key.indexOf('.'));
  const columns = byOwnKey(catalogue.tables, table)?.columns ?? {};
  const wrong = Object.entries(triggerColumns(trigger.arguments)).flatMap(([name, family]) => {
    const type = byOwnKey(columns, name)?.type;
    return type !== undefined && isOfFamily(type, family)
      ? []
      : [`${name} is ${type ?? 'missing'}`];
  });
  return wrong.length === 0 ? undefined : `${table}: ${wrong.join(', ')}`;
}

/** The columns that the trigger function works with, by the trigger's argument. */
function triggerColumns(argument: string): Record<string, TypeFamily> {
  if (argument === '') return { updated_at: 'time' };
  const derived = {
    updated_at: 'time',
    started_at: 'time',
    completed_at: 'time',
    duration_ms: 'number',
    success: 'boolean',
  } as const;
  return argument.startsWith('status_code')
    ? { ...derived, status_code: 'number', error_type: 'text' }
    : { ...derived, status: 'text' };
}

/** A function of ours that is there in its latest version: the file that made the first one passes it over. */
function isReplacedLater(statement: string, catalogue: Catalogue): boolean {
  return createdObjects(statement).some(({ kind, name }) =>
    kind === 'VIEW'
      ? false
      : Object.keys(manifest.functions).some(
          (signature) =>
            signature.startsWith(`${name}(`) && functionProblem(signature, catalogue) === undefined,
        ),
  );
}

/** False when another console has run it meanwhile. */
async function migrateIfPending(
  tx: Queryable,
  { capabilities: { schema } }: Database,
  file: SchemaFile,
): Promise<boolean> {
  const catalogue = await readCatalogue(tx, schema);
  if (!pendingMigrations(catalogue).some(({ name }) => name === file.name)) return false;
  await lockReplacedViews(tx, schema, file, catalogue);
  await migrate(tx, schema, file);
  return true;
}

/**
 * Whoever reads two views in one statement holds the first while it waits for the second. Where a file takes them the other
 * way round, the two wait for each other, and readers that never pause would make every try fail: each try takes them in an
 * order of its own.
 */
async function lockReplacedViews(
  tx: Queryable,
  schema: string,
  { sql }: SchemaFile,
  catalogue: Catalogue,
): Promise<void> {
  const views = createdObjects(sql)
    .filter(({ kind, name }) => kind === 'VIEW' && isEarlierView(name, catalogue))
    .map(({ name }) => ({ name, rank: Math.random() }))
    .sort((one, other) => one.rank - other.rank);
  for (const { name } of views) {
    // Sets what the file sets anyway, and takes the lock that replacing takes: LOCK would take the tables under a view, too.
    await tx.query(`ALTER VIEW ${quoteIdent(schema, name)} SET (security_invoker = true)`);
  }
}

async function addColumn(
  tx: Queryable,
  { capabilities }: Database,
  { table, name, column }: ColumnAddition,
): Promise<boolean> {
  const vectorSchema = capabilities.extensions.vector?.schema;
  const type =
    column.type.startsWith('vector(') && vectorSchema
      ? `${quoteIdent(vectorSchema)}.${column.type}`
      : column.type;
  const notNull = column.notNull ? ' NOT NULL' : '';
  const fallback = column.default === null ? '' : ` DEFAULT ${column.default}`;
  await tx.query(
    `ALTER TABLE ${quoteIdent(capabilities.schema, table)}
     ADD COLUMN IF NOT EXISTS ${quoteIdent(name)} ${type}${notNull}${fallback}`,
  );
  return true;
}

async function protect(tx: Queryable, { capabilities }: Database, table: string): Promise<boolean> {
  await tx.query(`ALTER TABLE ${quoteIdent(capabilities.schema, table)} ENABLE ROW LEVEL SECURITY`);
  return true;
}

/** @throws Error where the role may not */
async function remakeConsoleTables(tx: Queryable): Promise<boolean> {
  await openLedger(tx);
  const left = await lostConsoleTables(tx);
  if (left.length > 0) throw new Error(`the role may not create ${left.join(', ')}`);
  return true;
}

/** Runs one addition in a transaction of its own; that it fails is told, and no reason to stop. */
async function attempt(
  inTurn: InTurn,
  work: (tx: Queryable) => Promise<boolean>,
): Promise<Outcome> {
  try {
    return { changed: await inTurn(work), failures: [] };
  } catch (error) {
    return { changed: false, failures: [messageOf(error)] };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Names what was in a schema before and is another now. Additions do not count: a new column, index
 * or trigger of a table leaves what was there as it was.
 *
 * @param allowsPolicies policies replaced by the file of row-level security are its purpose
 */
function changedFrom(before: Catalogue, after: Catalogue, allowsPolicies = false): string[] {
  const components = ['indexes', 'views', 'triggers', 'policies'] as const;
  const functions = differing(withoutGrants(before.functions), withoutGrants(after.functions));
  const changed = components
    .filter((component) => !(allowsPolicies && component === 'policies'))
    .flatMap((component) => differing(before[component], after[component]));
  const tables = Object.entries(before.tables).flatMap(([table, { columns, constraints }]) => {
    const now = byOwnKey(after.tables, table);
    if (!now) return [table];
    const lost = constraints.filter((definition) => !now.constraints.includes(definition));
    return [...differing(columns, now.columns), ...lost].map((what) => `${table}: ${what}`);
  });
  return [...changed, ...functions, ...tables];
}

/** Each function's file takes EXECUTE from PUBLIC right after it was created. */
function withoutGrants(functions: Catalogue['functions']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(functions).map(([name, definition]) => [name, { ...definition, public: false }]),
  );
}

function differing(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  return Object.entries(before).flatMap(([name, definition]) =>
    JSON.stringify(definition) === JSON.stringify(byOwnKey(after, name)) ? [] : [name],
  );
}

/**
 * Splits the text of an SQL file into its statements. Knows what can hide a semicolon: quoted
 * strings and identifiers, dollar-quoted bodies, comments. The schema's files have no
 * `standard_conforming_strings = off` strings and no BEGIN ATOMIC bodies.
 */
export function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  // One token: something that may hold a semicolon, or a semicolon, or a run of anything else.
  const token =
    /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|;|[^;'"$/-]+|[\s\S]/g;
  let start = 0;
  for (let match = token.exec(sql); match; match = token.exec(sql)) {
    if (match[0] !== ';') continue;
    statements.push(sql.slice(start, match.index).trim());
    start = token.lastIndex;
  }
  statements.push(sql.slice(start).trim());
  return statements.filter((statement) => withoutComments(statement) !== '');
}

function withoutComments(statement: string): string {
  return statement.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, '').trim();
}
