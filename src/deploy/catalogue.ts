import type { Queryable } from '../db/database.js';
import { catalogueQueries } from './catalogue-queries.js';

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

export type View = { columns: Record<string, string>; securityInvoker: boolean };

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
};

/**
 * Reads the objects of a schema from the catalogue. Needs no privilege on the tables themselves.
 * Definitions of indexes wait for AccessExclusive locks, so the transaction's lock time-out counts.
 */
export async function readCatalogue(transaction: Queryable, schema: string): Promise<Catalogue> {
  const catalogue: Partial<Record<keyof Catalogue, unknown>> = {};
  for (const [component, query] of Object.entries(catalogueQueries)) {
    const { rows } = await transaction.query<{ objects: unknown }>(query, [schema]);
    catalogue[component as keyof Catalogue] = rows[0]?.objects ?? {};
  }
  return catalogue as Catalogue;
}
