import type { Queryable } from '../db/queryable.js';
import { lostConsoleTables } from './console-schema.js';
import { archiveOf, archivedTables, coreTables } from '../core/tables.js';
import recorded from './manifest.json' with { type: 'json' };

export type Column = {
  /** As `format_type` spells it, the extension's schema left out: `vector(1536)`. */
  type: string;
  notNull: boolean;
  /** Expression of the default or of the generated column. */
  default: string | null;
  generated: boolean;
};

export type Table = {
  columns: Record<string, Column>;
  /** Definitions of foreign keys and checks, sorted; names do not matter. */
  constraints: string[];
  /** Row-level security is enabled. */
  rowSecurity: boolean;
};

export type Index = {
  table: string;
  /** `pg_get_indexdef` without the table's schema. */
  definition: string;
  unique: boolean;
  primary: boolean;
  valid: boolean;
};

export type View = {
  columns: Record<string, string>;
  securityInvoker: boolean;
  /** MD5 of its comment, which every version of a view of ours has another one of; null: no comment. */
  commentHash: string | null;
};

/** Keyed by `name(argument types)`. */
export type SchemaFunction = {
  result: string;
  bodyHash: string;
  securityDefiner: boolean;
  /** PUBLIC, so every role, may execute it. */
  public: boolean;
};

/** Keyed by `table.trigger`. */
export type Trigger = {
  function: string;
  type: number;
  arguments: string;
  /** It fires for ordinary writers. */
  enabled: boolean;
};

/** Keyed by `table.policy`. */
export type Policy = {
  command: string;
  roles: string[];
  using: string | null;
  check: string | null;
};

/** The objects of one schema, with the names that a person would use; what a manifest holds. */
export type Catalogue = {
  tables: Record<string, Table>;
  indexes: Record<string, Index>;
  views: Record<string, View>;
  functions: Record<string, SchemaFunction>;
  triggers: Record<string, Trigger>;
  policies: Record<string, Policy>;
  /** Installed extensions and their versions. */
  extensions: Record<string, string>;
  /** Every relation, whoever made it: `{name: relkind}`. */
  relations: Record<string, string>;
  /** The console's own tables that were here and have gone: `trace_console.telemetry_spans`. */
  lostConsoleTables: string[];
};

/**
 * The server prints definitions by the session's settings: quoted names or backslashes that a role or database has
 * set would make our own objects look foreign. For the rest of the transaction only.
 */
const plainSettings = `
SELECT set_config('quote_all_identifiers', 'off', true), set_config('standard_conforming_strings', 'on', true)`;

/**
 * Reads the objects of a schema from the catalogue. Needs no privilege on the tables themselves.
 * Definitions of indexes wait for AccessExclusive locks, so the transaction's lock time-out counts.
 */
export async function readCatalogue(transaction: Queryable, schema: string): Promise<Catalogue> {
  const catalogue = new Map<string, unknown>();
  await transaction.query(plainSettings);
  for (const [component, query] of Object.entries(catalogueQueries)) {
    const { rows } = await transaction.query<{ objects: unknown }>(query, [schema]);
    catalogue.set(component, rows[0]?.objects ?? {});
  }
  catalogue.set('lostConsoleTables', await lostConsoleTables(transaction));
  return Object.fromEntries(catalogue) as Catalogue;
}

/** `name(argument types)` of the row `p` of pg_proc, whatever schema the type `vector` lives in. */
export const functionName = `(p.proname || '(' || regexp_replace(
  pg_get_function_identity_arguments(p.oid), '("[^"]+"|\\m\\w+)\\.vector\\M', 'vector', 'g'
) || ')')`;

/**
 * What a schema holds, a statement a component. `$1` is the schema's name; each gives one row with
 * one column `objects`: a JSON object by name. Objects that belong to an extension are left out.
 */
const catalogueQueries = {
  tables: `
    SELECT json_object_agg(c.relname, json_build_object(
      'columns', (
        SELECT COALESCE(json_object_agg(a.attname, json_build_object(
          'type', regexp_replace(format_type(a.atttypid, a.atttypmod), '^[^(]*\\.', ''),
          'notNull', a.attnotnull,
          'default', pg_get_expr(d.adbin, d.adrelid),
          'generated', a.attgenerated <> ''
        ) ORDER BY a.attnum), '{}')
        FROM pg_attribute AS a
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      ),
      'constraints', (
        SELECT COALESCE(json_agg(definition ORDER BY definition), '[]')
        FROM pg_constraint AS k,
          replace(pg_get_constraintdef(k.oid), quote_ident($1) || '.', '') AS definition
        WHERE k.conrelid = c.oid AND k.contype IN ('f', 'c')
      ),
      'rowSecurity', c.relrowsecurity
    ) ORDER BY c.relname) AS objects
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')`,

  indexes: `
    SELECT json_object_agg(i.relname, json_build_object(
      'table', t.relname,
      -- ONLY stands before a partitioned table.
      'definition', replace(
        replace(pg_get_indexdef(x.indexrelid), ' ON ONLY ', ' ON '),
        ' ON ' || quote_ident($1) || '.', ' ON '
      ),
      'unique', x.indisunique,
      'primary', x.indisprimary,
      'valid', x.indisvalid AND x.indisready
    ) ORDER BY t.relname, i.relname) AS objects
    FROM pg_index AS x
    JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_class AS t ON t.oid = x.indrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = $1 AND t.relkind IN ('r', 'p', 'm')`,

  views: `
    SELECT json_object_agg(c.relname, json_build_object(
      'columns', (
        SELECT json_object_agg(a.attname,
          regexp_replace(format_type(a.atttypid, a.atttypmod), '^[^(]*\\.', '') ORDER BY a.attnum)
        FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      ),
      'securityInvoker', EXISTS (
        SELECT FROM pg_options_to_table(c.reloptions)
        WHERE option_name = 'security_invoker' AND option_value IN ('true', 'on', '1', 'yes')
      ),
      'commentHash', md5(obj_description(c.oid, 'pg_class'))
    ) ORDER BY c.relname) AS objects
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'v'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')`,

  functions: `
    SELECT json_object_agg(${functionName}, json_build_object(
      'result', regexp_replace(
        pg_get_function_result(p.oid), '("[^"]+"|\\m\\w+)\\.vector\\M', 'vector', 'g'
      ),
      'bodyHash', md5(p.prosrc),
      'securityDefiner', p.prosecdef,
      'public', EXISTS (
        SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS acl
        WHERE acl.grantee = 0 AND acl.privilege_type = 'EXECUTE'
      )
    ) ORDER BY ${functionName}) AS objects
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = $1
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')`,

  triggers: `
    SELECT json_object_agg(c.relname || '.' || t.tgname, json_build_object(
      'function', p.proname,
      'type', t.tgtype,
      'arguments', encode(t.tgargs, 'escape'),
      'enabled', t.tgenabled IN ('O', 'A')
    ) ORDER BY c.relname, t.tgname) AS objects
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE n.nspname = $1 AND NOT t.tgisinternal`,

  policies: `
    SELECT json_object_agg(tablename || '.' || policyname, json_build_object(
      'command', cmd,
      'roles', roles::text[],
      'using', qual,
      'check', with_check
    ) ORDER BY tablename, policyname) AS objects
    FROM pg_policies WHERE schemaname = $1`,

  extensions: `
    SELECT json_object_agg(extname, extversion ORDER BY extname) AS objects
    FROM pg_extension WHERE $1::text IS NOT NULL`,

  relations: `
    SELECT json_object_agg(c.relname, c.relkind ORDER BY c.relname) AS objects
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind NOT IN ('i', 'I', 't', 'c')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
      AND NOT EXISTS (
        SELECT FROM pg_depend AS owned
        WHERE owned.objid = c.oid AND owned.deptype IN ('a', 'i') AND c.relkind = 'S'
      )`,
} as const;

/** What a complete deployment holds: the catalogue without the extensions' versions. */
export type Manifest = Omit<Catalogue, 'extensions' | 'relations' | 'lostConsoleTables'> & {
  extensions: string[];
  /** The policies of the archives; those of the eight tables are counted apart. */
  archivePolicies: Catalogue['policies'];
};

/**
 * The expected objects, recorded from a real server (`npm run schema:manifest`) and checked in, so
 * that a change of the schema shows as a diff. A test compares it with a fresh deployment.
 */
export const manifest: Manifest = recorded;

/** Picks the schema's own objects out of a catalogue: what the manifest records. */
export function manifestOf(catalogue: Catalogue): Manifest {
  const archives = new Set<string>(archivedTables.map(archiveOf));
  const core = new Set<string>(coreTables);
  const tableOf = (key: string) => key.split('.')[0] ?? '';
  const ofTable = (key: string) => core.has(tableOf(key));
  return {
    tables: pick(catalogue.tables, (name) => core.has(name) || archives.has(name)),
    indexes: pick(catalogue.indexes, (_, { table }) => core.has(table)),
    views: catalogue.views,
    functions: catalogue.functions,
    triggers: pick(catalogue.triggers, ofTable),
    policies: pick(catalogue.policies, ofTable),
    archivePolicies: pick(catalogue.policies, (key) => archives.has(tableOf(key))),
    extensions: ['uuid-ossp', 'vector'],
  };
}

function pick<Value>(
  objects: Record<string, Value>,
  keep: (name: string, value: Value) => boolean,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(objects).filter(([name, value]) => keep(name, value)));
}
