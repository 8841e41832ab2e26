import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { boundedText, quoteIdent } from '../../db/quote.js';
import { archiveOf, archivedTables, coreTables, findsTags } from '../../core/tables.js';

export type RelationShape = {
  /** `r` table, `p` partitioned, `v` view, `m` materialized view, `f` foreign table */
  kind: string;
  columns: ReadonlySet<string>;
  /** The connected role may read it, or at least some of its columns. */
  select: boolean;
  /** Row-level security decides which of its rows the role sees. */
  filtered: boolean;
  /** An index finds its rows by their tags. */
  findsTags: boolean;
};

/** What of our tables and views the database really has: it may have been deployed by hand. */
export type SchemaShape = {
  schema: string;
  /** `server_version_num` */
  serverVersion: number;
  /** The embedded database: one session for everybody. */
  embedded: boolean;
  /**
   * The counters are read where the embedded database's daemon keeps them: its engine forgets them.
   * False also on an embedded database whose daemon could not create the place for them.
   */
  keepsCounters: boolean;
  relations: ReadonlyMap<string, RelationShape>;
  /** Tables whose rows lie on workers of a Citus cluster: what this server knows of their size and use is of empty shells. */
  onWorkers: ReadonlySet<string>;
};

/** Relations without which a pane says why it shows nothing, and columns that it can do without. */
export type Needs = Readonly<
  Record<string, { required: readonly string[]; optional?: readonly string[] }>
>;

const views = [
  'trace_summary',
  'pattern_effectiveness',
  'agent_performance',
  'error_analysis',
  'dashboard_summary',
];

/** Catalogue only: takes no lock on the tables, so it answers while one of them is locked. */
const shapeStatement = `
SELECT
  c.relname::text AS name,
  c.relkind::text AS kind,
  has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT') AS "select",
  row_security_active(c.oid) AS filtered,
  ${findsTags('c.oid')} AS "findsTags",
  ARRAY(
    SELECT a.attname::text FROM pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
  ) AS columns
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = ANY ($2)`;

type ShapeRow = {
  name: string;
  kind: string;
  select: boolean;
  filtered: boolean;
  findsTags: boolean;
  columns: string[];
};

/** @throws ConsoleError */
export async function readShape(database: Database): Promise<SchemaShape> {
  const { schema, serverVersion, embedded, keepsCounters, citus } = database.capabilities;
  const names = [...coreTables, ...archivedTables.map(archiveOf), ...views];
  const rows = await database.read<ShapeRow>(shapeStatement, [schema, names]);
  const relations = new Map(
    rows.map(({ name, columns, ...rest }) => [name, { ...rest, columns: new Set(columns) }]),
  );
  const onWorkers = new Set(citus?.tables);
  return { schema, serverVersion, embedded, keepsCounters, relations, onWorkers };
}

/** Why a pane cannot be asked here; undefined when it can. */
export function unmetNeed(needs: Needs, shape: SchemaShape): ConsoleError | undefined {
  for (const [name, { required }] of Object.entries(needs)) {
    const relation = shape.relations.get(name);
    if (!relation) {
      return new ConsoleError(
        'schema_missing',
        `${name} does not exist in the schema "${shape.schema}".`,
        { hint: 'Create it: trace-console schema apply; or name another schema with --schema.' },
      );
    }
    if (!relation.select) {
      return new ConsoleError('privilege_missing', `The role may not read ${name}.`, {
        hint: `As its owner: GRANT SELECT ON ${quoteIdent(shape.schema, name)} TO …`,
      });
    }
    const missing = required.filter((column) => !relation.columns.has(column));
    if (missing.length > 0) {
      return new ConsoleError(
        'schema_incompatible',
        `${name} exists but has no column ${missing.join(', ')}.`,
        { hint: 'It may be a table of another program; name another schema with --schema.' },
      );
    }
  }
  return undefined;
}

/** What is shown less, or only in part: columns that are not there, rows that policies hide. */
export function shapeNotes(needs: Needs, shape: SchemaShape): string[] {
  return Object.entries(needs).flatMap(([name, { optional = [] }]) => {
    const relation = shape.relations.get(name);
    if (!relation) return [];
    const missing = optional.filter((column) => !relation.columns.has(column));
    return [
      ...(missing.length > 0 ? [`${name} has no column ${missing.join(', ')}`] : []),
      ...(relation.filtered ? [`row-level security hides rows of ${name} from this role`] : []),
    ];
  });
}

export function hasColumn(shape: SchemaShape, relation: string, column: string): boolean {
  return shape.relations.get(relation)?.columns.has(column) ?? false;
}

/** A column for a select list, or NULL of its type where the database does not have it. */
export function columnOrNull(
  shape: SchemaShape,
  relation: string,
  column: string,
  type: string,
): string {
  return hasColumn(shape, relation, column) ? quoteIdent(column) : `NULL::${type}`;
}

/** A list of texts, bounded as whatever writes them bounds nothing: its first 50, each with 200 characters; `…` for the rest. */
export function boundedTexts(column: string): string {
  return `((SELECT array_agg(${boundedText('each', 200)}) FROM unnest((${column})[1:50]) AS each)
    || CASE WHEN cardinality(${column}) > 50 THEN ARRAY['…'] END)`;
}

/** Texts that are there, joined, as SQL. */
export function joinedSql(separator: string, ...parts: readonly string[]): string {
  return `NULLIF(concat_ws('${separator}', ${parts.join(', ')}), '')`;
}
