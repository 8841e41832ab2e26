import { coreTables, type CoreTable } from '../core/tables.js';
import { byOwnKey } from '../core/values.js';
import { type Catalogue, type Column, manifest } from './catalogue.js';
import type { Queryable } from '../db/queryable.js';
import { openLedger, recordFile } from './console-schema.js';
import recorded from './earlier-versions.json' with { type: 'json' };
import { schemaFiles, type SchemaFile } from './schema-files.js';

/**
 * What became of one table of ours:
 * - `missing`: no relation has its name;
 * - `exact`: every expected column is there, with its type;
 * - `compatible`: every column that a pane needs is there; others lack or differ;
 * - `incompatible`: something else has its name. It is named and never touched.
 */
export type TableVerdict = {
  table: CoreTable;
  verdict: 'missing' | 'exact' | 'compatible' | 'incompatible';
  missingColumns: string[];
  differingColumns: string[];
  /** Why it is incompatible, a clause a reason. */
  reasons: string[];
};

/** Judges the eight tables of a schema one by one. */
export function judgeTables(catalogue: Catalogue): TableVerdict[] {
  return coreTables.map((table) => judgeTable(table, catalogue));
}

function judgeTable(table: CoreTable, catalogue: Catalogue): TableVerdict {
  const verdict = { table, missingColumns: [], differingColumns: [], reasons: [] };
  const relationKind = catalogue.relations[table];
  if (relationKind === undefined) return { ...verdict, verdict: 'missing' };
  const deployed = catalogue.tables[table];
  if (!deployed) {
    const kind = kindNames.get(relationKind) ?? `a relation of kind "${relationKind}"`;
    return { ...verdict, verdict: 'incompatible', reasons: [`it is ${kind}, not a table`] };
  }
  const reasons = Object.entries(requiredColumns[table]).flatMap(([name, family]) => {
    const column = byOwnKey(deployed.columns, name);
    if (!column) return [`it has no column ${name}`];
    return isOfFamily(column.type, family) ? [] : [`its column ${name} is ${column.type}`];
  });
  const expected = Object.entries(manifest.tables[table]?.columns ?? {});
  const missingColumns = expected.flatMap(([name]) =>
    byOwnKey(deployed.columns, name) ? [] : [name],
  );
  const differingColumns = expected.flatMap(([name, column]) => {
    const other = byOwnKey(deployed.columns, name);
    return other && !sameColumn(column, other) ? [name] : [];
  });
  const exact = missingColumns.length + differingColumns.length === 0;
  return {
    table,
    verdict: reasons.length > 0 ? 'incompatible' : exact ? 'exact' : 'compatible',
    missingColumns,
    differingColumns,
    reasons,
  };
}

/** Defaults are the writers' business; the type and how a value comes about are ours. */
export function sameColumn(expected: Column, deployed: Column): boolean {
  return (
    expected.type === deployed.type &&
    expected.notNull === deployed.notNull &&
    expected.generated === deployed.generated
  );
}

const kindNames = new Map(
  Object.entries({
    v: 'a view',
    m: 'a materialized view',
    f: 'a foreign table',
    S: 'a sequence',
  }),
);

/** Kinds of types that serve the same purpose for reading. */
export type TypeFamily = 'uuid' | 'text' | 'number' | 'boolean' | 'time';

/**
 * The columns without which a pane has nothing to show. A table that has them all is compatible,
 * whatever else it lacks; every other column of the schema is asked for only where it exists.
 */
const requiredColumns: Record<CoreTable, Record<string, TypeFamily>> = {
  execution_traces: {
    id: 'uuid',
    correlation_id: 'uuid',
    root_id: 'uuid',
    session_id: 'uuid',
    source: 'text',
    status: 'text',
    started_at: 'time',
    completed_at: 'time',
    duration_ms: 'number',
  },
  agent_routing_decisions: {
    id: 'uuid',
    trace_id: 'uuid',
    agent_selected: 'text',
    confidence_score: 'number',
    created_at: 'time',
  },
  hook_executions: {
    id: 'uuid',
    trace_id: 'uuid',
    hook_type: 'text',
    hook_name: 'text',
    status: 'text',
    started_at: 'time',
    duration_ms: 'number',
  },
  endpoint_calls: {
    id: 'uuid',
    trace_id: 'uuid',
    service_name: 'text',
    endpoint_url: 'text',
    http_method: 'text',
    status_code: 'number',
    started_at: 'time',
    duration_ms: 'number',
  },
  success_patterns: {
    id: 'uuid',
    pattern_hash: 'text',
    success_count: 'number',
    failure_count: 'number',
    total_usage_count: 'number',
    success_rate: 'number',
    last_used_at: 'time',
  },
  pattern_usage_log: { id: 'uuid', pattern_id: 'uuid', used_at: 'time' },
  agent_chaining_patterns: { id: 'uuid', primary_agent: 'text' },
  error_patterns: { id: 'uuid', error_type: 'text' },
};

const families: Record<TypeFamily, RegExp> = {
  uuid: /^uuid$/,
  text: /^(text|character varying|character|name|citext)\b/,
  number: /^(smallint|integer|bigint|numeric|real|double precision)\b/,
  boolean: /^boolean$/,
  // A timestamp without time zone means another instant for every reader: not compatible.
  time: /^timestamp(\(\d\))? with time zone$/,
};

export function isOfFamily(type: string, family: TypeFamily): boolean {
  return families[family].test(type);
}

/**
 * What a released file made and a later file replaces: the hash of a function's body by signature, the hash of a
 * view's comment by name. A file that replaces an object adds its hash here and looks for the same hash itself,
 * so that psql, too, leaves what somebody else wrote alone.
 */
const earlierVersions: {
  functions: Readonly<Partial<Record<string, readonly string[]>>>;
  views: Readonly<Partial<Record<string, readonly string[]>>>;
} = recorded;

/** The last of the files that create the tables; those after it bring older deployments forward. */
const lastOfCreation = '013_archive.sql';
const laterFiles = schemaFiles.filter(({ name }) => name > lastOfCreation);

export function isEarlierView(name: string, catalogue: Catalogue): boolean {
  const hash = byOwnKey(catalogue.views, name)?.commentHash;
  return (
    typeof hash === 'string' && (byOwnKey(earlierVersions.views, name)?.includes(hash) ?? false)
  );
}

/** The signatures under which earlier versions of a function are there: the same, or with other parameters. */
export function earlierSignatures(signature: string, catalogue: Catalogue): string[] {
  const name = signature.slice(0, signature.indexOf('('));
  return Object.entries(earlierVersions.functions).flatMap(([earlier, hashes]) => {
    const deployed = byOwnKey(catalogue.functions, earlier);
    const isThere = deployed !== undefined && hashes?.includes(deployed.bodyHash);
    return earlier.startsWith(`${name}(`) && isThere ? [earlier] : [];
  });
}

/** What a file makes besides views and functions, as it says itself: `-- makes an index: TABLE USING METHOD (COLUMN)`. */
function lackingIndexes(sql: string, { indexes }: Catalogue): { table: string; column: string }[] {
  const declared = /^-- makes an index: (\w+) USING (\w+) \((\w+)\)$/gm;
  return [...sql.matchAll(declared)].flatMap(([, table = '', method = '', column = '']) => {
    const begins = new RegExp(` USING ${method} \\(${column}\\b`);
    // By whatever name.
    const isThere = Object.values(indexes).some(
      (index) => index.valid && index.table === table && begins.test(index.definition),
    );
    return isThere ? [] : [{ table, column }];
  });
}

/** The columns of a table on which a later file makes an index that is not there. */
export function columnsWithoutIndex(table: string, catalogue: Catalogue): string[] {
  return laterFiles
    .flatMap(({ sql }) => lackingIndexes(sql, catalogue))
    .flatMap((lacking) => (lacking.table === table ? [lacking.column] : []));
}

/**
 * The files that bring what an earlier version made up to date, in their order. Read from what is
 * there, not from the ledger: a deployment made with psql has none.
 */
export function pendingMigrations(catalogue: Catalogue): SchemaFile[] {
  return laterFiles.filter(
    ({ sql }) =>
      lackingIndexes(sql, catalogue).length > 0 ||
      createdObjects(sql).some(({ kind, name }) =>
        kind === 'VIEW'
          ? isEarlierView(name, catalogue)
          : earlierSignatures(`${name}(`, catalogue).length > 0,
      ),
  );
}

/** The views and functions that statements create, by their bare names. */
export function createdObjects(sql: string): { kind: string; name: string }[] {
  const created = /CREATE (?:OR REPLACE )?(VIEW|FUNCTION) (\w+)/g;
  return [...sql.matchAll(created)].map(([, kind = '', name = '']) => ({ kind, name }));
}

/** Runs one file and records it; the caller's transaction makes both all or nothing. */
export async function migrate(
  transaction: Queryable,
  schema: string,
  file: SchemaFile,
): Promise<void> {
  await transaction.query(file.sql);
  if (await openLedger(transaction)) await recordFile(transaction, schema, file);
}
