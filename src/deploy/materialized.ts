import { counted } from '../core/format/number.js';
import { formatAge } from '../core/format/time.js';
import type { Queryable } from '../db/queryable.js';
import { quoteIdent, quoteLiteral } from '../db/quote.js';

/**
 * The views that can be materialized, with the columns that the copy has beside those of its view, and the one whose values are
 * unique: REFRESH … CONCURRENTLY needs an index of that kind. The other two views have a row a trace or pattern, and are
 * asked with a LIMIT.
 */
const sources = {
  agent_performance: { more: '', key: 'agent_name' },
  // A type of error may be longer than an entry of an index can be.
  error_analysis: { more: ', md5(error_type) AS error_type_md5', key: 'error_type_md5' },
  dashboard_summary: { more: '', key: 'refreshed_at' },
} as const;

export type MaterializableView = keyof typeof sources;

export const materializableViews = Object.keys(sources) as MaterializableView[];

export function isMaterializable(name: unknown): name is MaterializableView {
  return materializableViews.some((view) => view === name);
}

const longestName = 63;

/**
 * The name of a view's copy in the schema trace_console: `public_agent_performance`. What the target schema holds is counted,
 * and Supabase gives its roles every new relation of `public`: so it is not there. Undefined where the name would
 * be longer than the server keeps names, with that of its index.
 */
export function copyName(schema: string, view: MaterializableView): string | undefined {
  const name = `${schema}_${view}`;
  return Buffer.byteLength(`${name}_key`) > longestName ? undefined : name;
}

/** The statements that make the copy of a view, which are one transaction; nobody but the owner may read it yet. */
export function materializeStatements(
  schema: string,
  view: MaterializableView,
  name: string,
): string[] {
  const { more, key } = sources[view];
  const relation = quoteIdent('trace_console', name);
  const comment = `${schema}.${view} as it was at refreshed_at; made by trace-console`;
  return [
    `CREATE MATERIALIZED VIEW ${relation} AS SELECT *${more}, now() AS refreshed_at FROM ${quoteIdent(schema, view)}`,
    `CREATE UNIQUE INDEX ${quoteIdent(`${name}_key`)} ON ${relation} (${quoteIdent(key)})`,
    `COMMENT ON MATERIALIZED VIEW ${relation} IS ${quoteLiteral(comment)}`,
    grantStatement(schema, view, name),
  ];
}

/**
 * Who may read the view may read its copy, with row-level security nobody: the copy has the figures of all users. From PostgreSQL
 * 17 on the role of maintainers may refresh it.
 */
function grantStatement(schema: string, view: MaterializableView, name: string): string {
  return `DO $grant$
DECLARE
  copy regclass := ${quoteLiteral(quoteIdent('trace_console', name))}::regclass;
  reader record;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = ${quoteLiteral(quoteIdent(schema))}::regnamespace AND relrowsecurity) THEN
    FOR reader IN
      SELECT DISTINCT acl.grantee::regrole AS role FROM pg_class AS c, aclexplode(c.relacl) AS acl
      WHERE c.oid = ${quoteLiteral(quoteIdent(schema, view))}::regclass AND acl.privilege_type = 'SELECT'
        AND acl.grantee NOT IN (0, c.relowner) AND acl.grantee::regrole::text NOT IN ('anon', 'authenticated')
    LOOP
      EXECUTE format('GRANT SELECT ON %s TO %s', copy, reader.role);
    END LOOP;
  END IF;
  IF to_regrole('trace_console_maintainer') IS NOT NULL AND current_setting('server_version_num')::integer >= 170000 THEN
    EXECUTE format('GRANT MAINTAIN ON %s TO trace_console_maintainer', copy);
  END IF;
END
$grant$`;
}

export function refreshStatement(name: string): string {
  return `REFRESH MATERIALIZED VIEW CONCURRENTLY ${quoteIdent('trace_console', name)}`;
}

export function dropStatement(name: string): string {
  return `DROP MATERIALIZED VIEW ${quoteIdent('trace_console', name)}`;
}

/** The copy of a view, as it is. */
export type MaterializedView = {
  view: MaterializableView;
  /** In the schema trace_console. */
  name: string;
  /** Of the figures, by the server's clock; null: it has no row, or may not be read. */
  refreshedAt: Date | null;
  ageMs: number | null;
  /** Null: it may not be read. */
  rows: number | null;
  mayRefresh: boolean;
  mayDrop: boolean;
  /** What keeps it from showing what the view shows, as the rest of a sentence. */
  problem: string | undefined;
};

type CopyRow = {
  view: MaterializableView;
  name: string;
  readable: boolean;
  may_refresh: boolean;
  may_drop: boolean;
  has_key: boolean;
  missing: string[];
};

/** `$1`: the target schema; `$2`: views and `$3` their copies. */
const copiesStatement = `
SELECT known.view, known.name, COALESCE(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false) AND c.relispopulated
    AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'refreshed_at' AND a.atttypid = 'timestamptz'::regtype) AS readable,
  pg_has_role(current_user, c.relowner, 'USAGE') OR CASE WHEN current_setting('server_version_num')::int >= 170000
    THEN has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'MAINTAIN') ELSE false END AS may_refresh,
  pg_has_role(current_user, c.relowner, 'USAGE') AS may_drop,
  EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid) AS has_key,
  ARRAY(
    SELECT a.attname::text FROM pg_attribute AS a
    JOIN pg_class AS v ON v.oid = a.attrelid AND v.relname = known.view
    JOIN pg_namespace AS target ON target.oid = v.relnamespace AND target.nspname = $1
    WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS (
      SELECT FROM pg_attribute AS b WHERE b.attrelid = c.oid AND b.attname = a.attname AND b.atttypid = a.atttypid)
    ORDER BY a.attnum) AS missing
FROM unnest($2::text[], $3::text[]) AS known (view, name)
JOIN pg_class AS c ON c.relname = known.name AND c.relkind = 'm'
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'trace_console'
ORDER BY array_position($2::text[], known.view)`;

/** The copies of a schema's views, of those that there are. Reads a copy by itself only where that is allowed. */
export async function readMaterialized(tx: Queryable, schema: string): Promise<MaterializedView[]> {
  const names = materializableViews.flatMap((view) => {
    const name = copyName(schema, view);
    return name === undefined ? [] : [{ view, name }];
  });
  const { rows } = await tx.query<CopyRow>(copiesStatement, [
    schema,
    names.map(({ view }) => view),
    names.map(({ name }) => name),
  ]);
  const ages = await readAges(tx, rows);
  return rows.map((row) => {
    const age = ages.get(row.name);
    return {
      view: row.view,
      name: row.name,
      refreshedAt: age?.at ?? null,
      ageMs: age?.age_ms ?? null,
      rows: age?.rows ?? null,
      mayRefresh: row.may_refresh,
      mayDrop: row.may_drop,
      problem: problemOf(row),
    };
  });
}

type AgeRow = { name: string; at: Date | null; age_ms: number | null; rows: number };

async function readAges(tx: Queryable, copies: readonly CopyRow[]): Promise<Map<string, AgeRow>> {
  const readable = copies.filter((copy) => copy.readable);
  if (readable.length === 0) return new Map();
  const { rows } = await tx.query<AgeRow>(
    readable
      .map(
        ({ name }) =>
          `SELECT ${quoteLiteral(name)} AS name, min(refreshed_at) AS at, 1000 * date_part('epoch', now() - min(refreshed_at)) AS age_ms, count(*)::int AS rows FROM ${quoteIdent('trace_console', name)}`,
      )
      .join('\nUNION ALL\n'),
  );
  return new Map(rows.map((row) => [row.name, row]));
}

function problemOf({ missing, has_key: hasKey }: CopyRow): string | undefined {
  const anew = 'drop it and make it anew with "schema materialize"';
  if (missing.length > 0) {
    return `lacks, or has of another type, column ${missing.join(', ')} of its view: ${anew}`;
  }
  return hasKey ? undefined : `has no unique index, without which it is not refreshed: ${anew}`;
}

/** `trace_console.public_agent_performance` */
export function placeOfCopy({ name }: Pick<MaterializedView, 'name'>): string {
  return `trace_console.${name}`;
}

/** `agent_performance: 12 rows, refreshed 3m ago` */
export function copyText({ view, rows, ageMs }: MaterializedView): string {
  if (rows === null) return `${view}: this role may not read it`;
  if (ageMs === null) return `${view}: no row, so that nothing tells its age`;
  const age = ageMs < 1_000 ? 'just refreshed' : `refreshed ${formatAge(ageMs)} ago`;
  return `${view}: ${counted(rows, 'row')}, ${age}`;
}
