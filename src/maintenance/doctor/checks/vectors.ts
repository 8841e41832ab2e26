import { shellWord } from '../../../db/quote.js';
import { readNumber } from '../../../core/values.js';
import { rebuiltInConsole } from '../../reindex/rebuild-lock.js';
import { good, type Check, firstOf } from '../check.js';
import { counted, withSeparators } from '../../../core/format/number.js';
import {
  recommendedLists,
  builtOnTooFewRows,
  defaultLists,
  fitsRows,
} from '../../../core/vector-lists.js';
import type { Queryable } from '../../../db/queryable.js';

type ExtensionRow = { installed: string | null; available: string | null; schema: string | null };

/** From 0.8.0 on an index scan goes on until enough rows pass the filter. */
const iterativeScans = [0, 8, 0];

export const pgvector: Check = {
  id: 'pgvector',
  title: 'pgvector',
  why: 'Embeddings and the search for similar patterns need the extension "vector" (its project is called pgvector). Before 0.8.0 a filtered search can return fewer rows than there are.',
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<ExtensionRow>(
      `SELECT e.extversion AS installed, e.extnamespace::regnamespace::text AS schema,
         (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS available
       FROM (SELECT) AS one LEFT JOIN pg_extension AS e ON e.extname = 'vector'`,
    );
    const { installed = null, available = null, schema = null } = rows[0] ?? {};
    if (installed === null) {
      const major = Math.floor(capabilities.serverVersion / 10_000);
      return {
        severity: 'critical',
        evidence:
          available === null
            ? 'The server has no extension "vector".'
            : `The extension "vector" ${available} is on the server, but not in this database.`,
        fix:
          available === null
            ? 'Install the package on the server, then create the extension in this database.'
            : 'Create it, as a superuser where the package is not trusted.',
        command:
          available === null
            ? `apt install postgresql-${major}-pgvector`
            : 'CREATE EXTENSION IF NOT EXISTS vector;',
      };
    }
    if (available !== null && isOlder(versionOf(installed), versionOf(available))) {
      return {
        severity: isOlder(versionOf(installed), iterativeScans) ? 'warning' : 'advice',
        evidence: `Version ${installed} is registered in this database; the server has ${available}.`,
        fix: 'Update it in place, then rebuild the vector indexes. Never drop it: every embedding would go with it.',
        command: 'ALTER EXTENSION vector UPDATE;',
      };
    }
    if (isOlder(versionOf(installed), iterativeScans)) {
      return {
        severity: 'advice',
        evidence: `Version ${installed} has no iterative scans: a filtered search may find too little.`,
        fix: 'Install 0.8.0 or newer on the server, then update the extension.',
        command: 'ALTER EXTENSION vector UPDATE;',
      };
    }
    return good(`Version ${installed}, in the schema ${schema ?? '?'}.`);
  },
};

function versionOf(text: string): number[] {
  return text.split('.').map(readNumber);
}

function isOlder(version: readonly number[], than: readonly number[]): boolean {
  for (const [index, part] of than.entries()) {
    const own = version[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}

export const vectorTraining: Check = {
  id: 'vector-training',
  ofOwnRows: true,
  title: 'Vector indexes: training',
  why: 'An ivfflat index learns its centres when it is built. Built on an almost empty table they are random, and the search misses most neighbours whatever it is asked; a rebuild on the data that came since mends it.',
  async run({ tx, capabilities }) {
    const indexes = await readVectorIndexes(tx, capabilities.schema);
    const untrained = indexes.filter(({ builtEmpty }) => builtEmpty);
    const [first] = untrained;
    if (!first) return good(`${trained(indexes)}.`);
    return {
      severity: 'warning',
      evidence: `Built on an almost empty table: ${firstOf(untrained.map(described))}.`,
      items: untrained.map(described),
      fix: 'Rebuild it now that there is data.',
      inConsole: rebuiltInConsole,
      command: `trace-console reindex ${shellWord(first.index)}`,
    };
  },
};

function described({ index, rows }: VectorIndex): string {
  return `${index} (now about ${counted(Math.round(rows), 'row')})`;
}

function trained(indexes: readonly VectorIndex[]): string {
  if (indexes.length === 0) return 'There is no ivfflat index';
  return `${firstOf(indexes.map(({ index }) => index))}: built on data, or still without any`;
}

export const vectorLists: Check = {
  id: 'vector-lists',
  ofOwnRows: true,
  title: 'Vector indexes: lists',
  why: 'Of an ivfflat index find_similar_patterns searches the square root of the lists. Twice the square root of the rows are right, up to 1,000, and fewer where a search would compare less than 2,000 rows: with too few lists the search is slow, with too many neighbours are missed.',
  async run({ tx, capabilities }) {
    const indexes = await readVectorIndexes(tx, capabilities.schema);
    const unfit = indexes.filter(({ lists, rows }) => !fitsRows(lists, rows));
    const [first] = unfit;
    if (!first) {
      return good(
        indexes.length === 0
          ? 'There is no ivfflat index.'
          : `${firstOf(indexes.map(({ index, lists }) => `${index} ${lists}`))} lists fit the rows.`,
      );
    }
    const lines = unfit.map(
      ({ index, lists, rows }) =>
        `${index} has ${withSeparators(lists)} lists for about ${counted(Math.round(rows), 'row')}; ${withSeparators(recommendedLists(rows))} would fit`,
    );
    return {
      severity: 'advice',
      evidence: `${firstOf(lines, 2)}.`,
      items: lines,
      fix: 'Rebuild it: the console sets the lists that fit before.',
      inConsole: rebuiltInConsole,
      command: `trace-console reindex ${shellWord(first.index)}`,
    };
  },
};

type VectorIndex = {
  index: string;
  table: string;
  lists: number;
  /** Rows with an embedding, estimated. */
  rows: number;
  builtEmpty: boolean;
};

/**
 * The ivfflat indexes of a schema. How many of the rows have an embedding comes from the planner's
 * statistics; for what `ids_since_table` tells see builtOnTooFewRows.
 */
export async function readVectorIndexes(tx: Queryable, schema: string): Promise<VectorIndex[]> {
  const { rows } = await tx.query<{
    index: string;
    table: string;
    lists: number;
    rows: number;
    ids_since_table: number;
  }>(
    `SELECT i.relname::text AS index, t.relname::text AS table,
       COALESCE((SELECT option_value::int FROM pg_options_to_table(i.reloptions)
         WHERE option_name = 'lists' AND option_value ~ '^\\d{1,6}$'), $2) AS lists,
       GREATEST(i.reltuples, t.reltuples, pg_stat_get_live_tuples(t.oid), 0)::float8
         * (1 - COALESCE(s.null_frac, 0))::float8 AS rows,
       i.relfilenode::bigint - t.oid::bigint AS ids_since_table
     FROM pg_index AS x
     JOIN pg_class AS i ON i.oid = x.indexrelid
     JOIN pg_class AS t ON t.oid = x.indrelid
     JOIN pg_am AS am ON am.oid = i.relam AND am.amname = 'ivfflat'
     JOIN pg_namespace AS n ON n.oid = t.relnamespace AND n.nspname = $1
     LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
     LEFT JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname
       AND NOT s.inherited
     WHERE x.indisvalid ORDER BY i.relname`,
    [schema, defaultLists],
  );
  return rows.map(({ ids_since_table: idsSinceTable, ...index }) => ({
    ...index,
    builtEmpty: builtOnTooFewRows({ ...index, idsSinceTable }),
  }));
}
