import type { Database, Queryable } from '../db/database.js';
import { quoteIdent } from '../db/quote.js';
import type { ApplyOptions, ApplyResult } from './apply.js';
import { readCatalogue, type Catalogue } from './catalogue.js';
import { changedFrom } from './compare-catalogues.js';
import { manifest } from './manifest.js';
import { functionProblem } from './object-problems.js';
import type { ColumnAddition, Plan } from './plan.js';
import { indexFile, rowSecurityFile, schemaFiles, type SchemaFile } from './schema-files.js';
import { splitStatements } from './statements.js';

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
  const additions = [
    ...plan.addColumns.map((addition) => ({
      name: `column ${addition.table}.${addition.name}`,
      run: () => addColumn(database, inTurn, addition),
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
        run: () => protect(database, inTurn, table),
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
    try {
      current = await inTurn(async (tx) => {
        const triggerFunction = foreignTriggerFunction(statement, current);
        if (triggerFunction) throw new Error(`the function ${triggerFunction} is not ours`);
        await tx.query(statement);
        const after = await readCatalogue(tx, schema);
        const touched = changedFrom(current, after, file.name === rowSecurityFile);
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
 * The function of others that a statement would bind to our tables: one of our trigger function's
 * name was there before and stayed, and a trigger must not run it.
 */
function foreignTriggerFunction(statement: string, catalogue: Catalogue): string | undefined {
  if (!statement.includes('CREATE TRIGGER')) return undefined;
  return Object.keys(manifest.functions).find(
    (name) =>
      manifest.functions[name]?.result === 'trigger' &&
      catalogue.functions[name] !== undefined &&
      functionProblem(name, catalogue) !== undefined,
  );
}

async function addColumn(
  { capabilities }: Database,
  inTurn: InTurn,
  { table, name, column }: ColumnAddition,
): Promise<Outcome> {
  const vectorSchema = capabilities.extensions.vector?.schema;
  const type =
    column.type.startsWith('vector(') && vectorSchema
      ? `${quoteIdent(vectorSchema)}.${column.type}`
      : column.type;
  const notNull = column.notNull ? ' NOT NULL' : '';
  const fallback = column.default === null ? '' : ` DEFAULT ${column.default}`;
  try {
    await inTurn((tx) =>
      tx.query(
        `ALTER TABLE ${quoteIdent(capabilities.schema, table)}
         ADD COLUMN IF NOT EXISTS ${quoteIdent(name)} ${type}${notNull}${fallback}`,
      ),
    );
    return { changed: true, failures: [] };
  } catch (error) {
    return { changed: false, failures: [messageOf(error)] };
  }
}

async function protect(
  { capabilities }: Database,
  inTurn: InTurn,
  table: string,
): Promise<Outcome> {
  try {
    await inTurn((tx) =>
      tx.query(`ALTER TABLE ${quoteIdent(capabilities.schema, table)} ENABLE ROW LEVEL SECURITY`),
    );
    return { changed: true, failures: [] };
  } catch (error) {
    return { changed: false, failures: [messageOf(error)] };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
