import { byOwnKey } from '../core/values.js';
import type { Database } from '../db/database.js';
import { placeOf } from '../db/connection/command-flags.js';
import type { Queryable } from '../db/queryable.js';
import { coreTables, type CoreTable } from '../core/tables.js';
import { readCatalogue, type Catalogue, type Column, type Index, manifest } from './catalogue.js';
import {
  compareWithManifest,
  type Difference,
  functionProblem,
  indexKey,
  viewProblem,
} from './compare.js';
import { judgeTables, type TableVerdict, pendingMigrations } from './judge.js';
import { schemaFiles } from './schema-files.js';

/** A column that ALTER TABLE adds without rewriting the table. */
export type ColumnAddition = { table: CoreTable; name: string; column: Column };

/**
 * What `schema apply` found and would do.
 *
 * - `new`: none of our tables is there; all files run in one transaction. `empty` tells whether the
 *   schema holds nothing at all: only then it happens unasked.
 * - `complete`: nothing to create. Differences may remain that apply never changes.
 * - `adopt`: some tables are there; what is missing is created around them, and views and functions of an earlier
 *   version are replaced, on request.
 * - `incompatible`: something else has one of our names. Refused.
 */
export type Plan = {
  kind: 'new' | 'complete' | 'adopt' | 'incompatible';
  empty: boolean;
  schemaExists: boolean;
  verdicts: TableVerdict[];
  missingTables: CoreTable[];
  addColumns: ColumnAddition[];
  /** Columns that cannot be added without a rewrite; a person decides when. */
  leftColumns: ColumnAddition[];
  /** Expected indexes that no valid index of the table stands in for. */
  addIndexes: { name: string; index: Index }[];
  /** Missing views, functions, triggers, archives: `view trace_summary`. */
  addObjects: string[];
  /** Files that replace views and functions of an earlier version of ours, in their order. */
  migrations: string[];
  /** The console's own tables that have gone; they are made anew, empty. */
  lostConsoleTables: string[];
  /** For `incompatible`: what is in the way, a clause each. */
  conflicts: string[];
  /** Everything that `schema verify` would report now. */
  differences: Difference[];
};

/** Reads the whole state of the target schema and decides what an apply would do. Changes nothing. */
export async function makePlan(transaction: Queryable, database: Database): Promise<Plan> {
  const { schema, supabaseRoles } = database.capabilities;
  const catalogue = await readCatalogue(transaction, schema);
  const { rows } = await transaction.query<{ types: number }>(
    `SELECT (
       SELECT count(*) FROM pg_type AS t
       WHERE t.typnamespace = n.oid AND t.typtype IN ('d', 'e', 'r')
         AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = t.oid AND deptype = 'e')
     ) AS types
     FROM pg_namespace AS n WHERE n.nspname = $1`,
    [schema],
  );
  const plan = planFor(catalogue, supabaseRoles, rows.length > 0);
  return { ...plan, empty: plan.empty && rows[0]?.types === 0 };
}

export function planFor(
  catalogue: Catalogue,
  existingRoles: readonly string[],
  schemaExists = true,
): Plan {
  const verdicts = judgeTables(catalogue);
  const { differences } = compareWithManifest(catalogue, existingRoles);
  const missingTables = verdicts.filter((v) => v.verdict === 'missing').map((v) => v.table);
  const isNew = missingTables.length === coreTables.length;
  const conflicts = [
    ...tableConflicts(verdicts),
    ...nameConflicts(catalogue),
    ...(isNew ? [...replacedFunctions(catalogue), ...foreignViews(catalogue)] : []),
  ];
  const columns = isNew ? [] : missingColumns(verdicts);
  const left = columns.filter((column) => !isCheap(column));
  const plan = {
    empty:
      schemaExists &&
      Object.keys(catalogue.relations).length === 0 &&
      Object.keys(catalogue.functions).length === 0,
    schemaExists,
    verdicts,
    missingTables,
    addColumns: columns.filter(isCheap),
    leftColumns: left,
    addIndexes: isNew ? [] : missingIndexes(catalogue, missingTables, left),
    addObjects: isNew ? [] : missingObjects(differences),
    migrations: isNew ? [] : pendingMigrations(catalogue).map(({ name }) => name),
    lostConsoleTables: catalogue.lostConsoleTables,
    conflicts,
    differences,
  };
  return { kind: kindOf(plan, isNew), ...plan };
}

function kindOf(plan: Omit<Plan, 'kind'>, isNew: boolean): Plan['kind'] {
  if (plan.conflicts.length > 0) return 'incompatible';
  if (isNew) return 'new';
  const work = [
    plan.missingTables,
    plan.addColumns,
    plan.addIndexes,
    plan.addObjects,
    plan.migrations,
    plan.lostConsoleTables,
  ];
  return work.every((items) => items.length === 0) ? 'complete' : 'adopt';
}

function tableConflicts(verdicts: readonly TableVerdict[]): string[] {
  return verdicts
    .filter(({ verdict }) => verdict === 'incompatible')
    .map(({ table, reasons }) => `${table} is not ours: ${reasons.join(', ')}`);
}

/** A view's name taken by something that is no view; CREATE VIEW would fail half-way. */
function nameConflicts(catalogue: Catalogue): string[] {
  return Object.keys(manifest.views).flatMap((name) => {
    const kind = byOwnKey(catalogue.relations, name);
    return kind === undefined || kind === 'v' ? [] : [`${name} is not a view`];
  });
}

/**
 * Functions of others that CREATE OR REPLACE would overwrite where all files run. (Around deployed
 * tables statements run one by one, and one that changes what is there is undone.)
 */
function replacedFunctions(catalogue: Catalogue): string[] {
  return Object.keys(manifest.functions).flatMap((name) => {
    const problem = byOwnKey(catalogue.functions, name) && functionProblem(name, catalogue);
    return problem ? [`the function ${name} is not ours: it ${problem}`] : [];
  });
}

/** Views of others that the files would pass over, so that ours were missing in the end. */
function foreignViews(catalogue: Catalogue): string[] {
  return Object.keys(manifest.views).flatMap((name) => {
    const problem = byOwnKey(catalogue.views, name) && viewProblem(name, catalogue);
    return problem ? [`the view ${name} is not ours: it ${problem}`] : [];
  });
}

function missingColumns(verdicts: readonly TableVerdict[]): ColumnAddition[] {
  return verdicts.flatMap(({ table, verdict, missingColumns: names }) =>
    verdict !== 'compatible'
      ? []
      : names.flatMap((name) => {
          const column = byOwnKey(manifest.tables[table]?.columns ?? {}, name);
          return column ? [{ table, name, column }] : [];
        }),
  );
}

/** Generated columns and volatile defaults rewrite the table; NOT NULL without default fails. */
function isCheap({ column }: ColumnAddition): boolean {
  const volatile = /gen_random_uuid|clock_timestamp/.test(column.default ?? '');
  return !column.generated && !volatile && (!column.notNull || column.default !== null);
}

function missingIndexes(
  catalogue: Catalogue,
  missingTables: readonly string[],
  left: readonly ColumnAddition[],
) {
  const present = new Set(
    Object.values(catalogue.indexes)
      .filter(({ valid }) => valid)
      .map(indexKey),
  );
  return Object.entries(manifest.indexes).flatMap(([name, index]) => {
    // Of a table that is created, keys come with it; the named ones are built after it.
    const comesWithTable =
      index.primary || (missingTables.includes(index.table) && !name.startsWith('idx_'));
    const own = byOwnKey(catalogue.indexes, name);
    // What an interrupted build left does not serve; under another name a valid one does as well, and
    // a second one would only cost every write.
    const isLeftover = own !== undefined && !own.valid && own.table === index.table;
    const covered = (own !== undefined && !isLeftover) || present.has(indexKey(index));
    const impossible = left.some(
      (column) => column.table === index.table && mentions(index.definition, column.name),
    );
    return comesWithTable || covered || impossible ? [] : [{ name, index }];
  });
}

function mentions(definition: string, column: string): boolean {
  return definition.slice(definition.indexOf('(')).split(/\W+/).includes(column);
}

function missingObjects(differences: readonly Difference[]): string[] {
  const kinds = new Map<Difference['component'], string>([
    ['views', 'view'],
    ['functions', 'function'],
    ['triggers', 'trigger'],
    ['archives', 'archive'],
  ]);
  return differences.flatMap(({ component, object, problem }) => {
    const kind = kinds.get(component);
    const counts = problem === 'is missing' || component === 'archives';
    return kind !== undefined && counts ? [`${kind} ${object}`] : [];
  });
}

/**
 * Whether the schema may be applied without a question: to an empty schema; to the embedded database also where only
 * views and functions of an earlier version are replaced.
 */
export function isUnasked(plan: Plan, { capabilities }: Database, rls: boolean): boolean {
  if (rls) return false;
  if (plan.kind === 'adopt') return capabilities.embedded && onlyMigrates(plan);
  return plan.kind === 'new' && plan.schemaExists && (plan.empty || capabilities.embedded);
}

function onlyMigrates({ missingTables, addColumns, addIndexes, addObjects }: Plan): boolean {
  return [missingTables, addColumns, addIndexes, addObjects].every((work) => work.length === 0);
}

/** What an apply would do, a line each; also what it would leave alone. */
export function describePlan(plan: Plan, database: Database, rls: boolean): string[] {
  const lines = [`Target: ${placeOf(database)}`];
  if (plan.kind === 'incompatible') {
    lines.push('Refused, because other objects have the same names:');
    lines.push(...plan.conflicts.map((conflict) => `  ${conflict}`));
  }
  if (plan.kind === 'new') {
    if (!plan.schemaExists) lines.push(`Would create the schema ${database.capabilities.schema}.`);
    if (plan.schemaExists && !plan.empty) {
      lines.push('The schema holds objects of others; they stay untouched.');
    }
    lines.push('Would run, in one transaction:', ...schemaFiles.map(({ name }) => `  ${name}`));
  }
  if (plan.kind === 'adopt') {
    lines.push('Found a deployed schema.');
    if (plan.migrations.length > 0) {
      lines.push('Would replace views and functions of an earlier version, a transaction a file:');
      lines.push(...plan.migrations.map((file) => `  ${file}`));
    }
    if (!onlyMigrates(plan) || plan.lostConsoleTables.length > 0)
      lines.push('Would create what it lacks:');
    lines.push(
      ...[...plan.missingTables, ...plan.lostConsoleTables].map((table) => `  table ${table}`),
    );
    lines.push(
      ...plan.addColumns.map(
        ({ table, name, column }) => `  column ${table}.${name} ${column.type}`,
      ),
    );
    lines.push(...plan.addObjects.map((object) => `  ${object}`));
    lines.push(
      ...plan.addIndexes.map(
        ({ name, index }) => `  index ${name} on ${index.table}, CONCURRENTLY`,
      ),
    );
  }
  for (const { table, name, column } of plan.leftColumns) {
    const kind = column.generated ? `${column.type}, generated` : column.type;
    lines.push(`Left to you, since it rewrites the table: column ${table}.${name} (${kind}).`);
  }
  if (rls) {
    lines.push(
      "Would create Supabase's roles where they are missing and switch row-level security on:",
      '  roles other than the owner, service_role and superusers then see only their own rows.',
    );
  }
  return lines;
}

export type ApplyOptions = {
  /** Create Supabase's roles where they are missing and switch row-level security on. */
  rls?: boolean;
  /** Create the roles of readers, writers and maintainers, and grant them what they need. */
  roles?: boolean;
  /** A line of progress: a file, an index, a column. */
  onProgress?: (step: ApplyStep) => void;
};

/** `index` of `total` steps; `name` is the file or the object. */
export type ApplyStep = { index: number; total: number; name: string; outcome: string };

export type ApplyResult = {
  /** What the plan was when it was carried out; `complete`: somebody else had done it meanwhile. */
  plan: Plan;
  applied: string[];
  /** What could not be created, with the server's reason; the rest went on. */
  failed: { name: string; reason: string }[];
};
