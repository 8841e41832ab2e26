import { firstOf, good, type Check, skipped } from '../check.js';
import { counted, formatBytes } from '../../../core/format/number.js';
import { cleanUpCommand, findLeftovers } from '../../reindex/leftovers.js';
import { rebuiltInConsole } from '../../reindex/rebuild-lock.js';
import { quoteIdent, shellWord } from '../../../db/quote.js';
import {
  countersSinceText,
  coveredText,
  dropStatement,
  readCovered,
  readIndexes,
  tooEarlyText,
  usualVerdictLimits,
  verdictOf,
  type VerdictLimits,
} from '../../index-verdict.js';

/** Indexes that no query can use, and nobody is building; leftovers among them. */
const invalidStatement = `
SELECT i.relname::text AS index, t.relname::text AS table
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid AND i.relkind = 'i'
JOIN pg_class AS t ON t.oid = x.indrelid
WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND NOT (x.indisvalid AND x.indisready)
  AND NOT EXISTS (
    SELECT FROM pg_stat_progress_create_index AS p
    WHERE p.relid = x.indrelid AND p.datname = current_database())
ORDER BY i.relname`;

export const invalidIndexes: Check = {
  id: 'invalid-indexes',
  title: 'Invalid indexes',
  why: 'An index whose concurrent build was broken off (a cancel, a lock time-out, a lost connection) is used by no query, but written with every row.',
  async run({ tx, capabilities: { schema } }) {
    const leftovers = await findLeftovers(tx, schema);
    const { rows } = await tx.query<{ index: string; table: string }>(invalidStatement, [schema]);
    const leftoverNames = new Set(leftovers.map(({ name }) => name));
    const broken = rows.filter(({ index }) => !leftoverNames.has(index));
    const names = [...broken.map(({ index }) => index), ...leftoverNames];
    if (names.length === 0) return good('Every index is valid, or being built.');
    const [first] = broken;
    return {
      severity: 'warning',
      evidence: `${counted(names.length, 'index', 'indexes')} of a broken build: ${firstOf(names)}.`,
      items: [
        ...broken.map(({ index, table }) => `${index} on ${table}: rebuild it`),
        ...leftovers.map(
          ({ name, of, bytes }) => `${name}, left over of ${of}, ${formatBytes(bytes)}: drop it`,
        ),
      ],
      fix: first ? 'Rebuild it.' : 'Drop what is left over.',
      inConsole: first ? rebuiltInConsole : `:${cleanUpCommand.id} does it`,
      command: first
        ? `trace-console reindex ${shellWord(first.index)}`
        : 'trace-console reindex --clean-up',
    };
  },
};

/** An index serves when its key begins with the constraint's columns, in any order. */
const unindexedStatement = `
SELECT c.conname::text AS name, t.relname::text AS table, n.nspname::text AS schema,
  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ORDER BY k.place) AS columns
FROM pg_constraint AS c
JOIN pg_class AS t ON t.oid = c.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_class AS r ON r.oid = c.confrelid
WHERE c.contype = 'f' AND c.conparentid = 0
  AND (SELECT oid FROM pg_namespace WHERE nspname = $1) IN (t.relnamespace, r.relnamespace)
  AND NOT EXISTS (
    SELECT FROM pg_index AS x
    WHERE x.indrelid = c.conrelid AND x.indisvalid
      AND (x.indkey::int2[])[0 : cardinality(c.conkey) - 1] @> c.conkey
      AND (x.indpred IS NULL OR pg_get_expr(x.indpred, x.indrelid) ~ '^\\(?"?\\w+"? IS NOT NULL\\)?$'))
ORDER BY 2, 1`;

type ForeignKeyRow = {
  name: string;
  table: string;
  schema: string;
  columns: [string, ...string[]];
};

export const foreignKeys: Check = {
  id: 'foreign-keys',
  title: 'Foreign keys without an index',
  why: 'Deleting or archiving a row reads every table that refers to it. Without an index on the referring columns each such look reads the whole table: 5.7 s for 1,000 rows were measured.',
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<ForeignKeyRow>(unindexedStatement, [capabilities.schema]);
    const [first] = rows;
    if (!first) return good('Every foreign key has an index.');
    const lines = rows.map(
      ({ table, columns, name }) => `${table} (${columns.join(', ')}), ${name}`,
    );
    return {
      severity: 'warning',
      evidence: `No index on ${firstOf(lines, 2)}.`,
      items: lines,
      fix: 'Create one; readers and writers go on meanwhile.',
      command: `CREATE INDEX CONCURRENTLY ON ${quoteIdent(first.schema, first.table)} (${first.columns.map((column) => quoteIdent(column)).join(', ')});`,
    };
  },
};

export const duplicateIndexes: Check = {
  id: 'duplicate-indexes',
  title: 'Duplicate indexes',
  why: 'An index that another one covers is written with every row and read for nothing that the other could not answer.',
  async run({ tx, capabilities }) {
    const rows = await readCovered(tx, capabilities.schema);
    const [first] = rows;
    if (!first) return good('No index is covered by another.');
    const lines = rows.map(
      (covered) => `${covered.index} (${formatBytes(covered.bytes)}) ${coveredText(covered)}`,
    );
    return {
      severity: rows.some(({ duplicate }) => duplicate) ? 'warning' : 'advice',
      evidence: `${counted(rows.length, 'index', 'indexes')} too many: ${firstOf(lines, 2)}.`,
      items: lines,
      fix: 'Drop the one that is covered.',
      command: dropStatement(capabilities.schema, first.index),
    };
  },
};

/** A check with other limits than the usual; for tests. */
export function unusedIndexesCheck(limits: Partial<VerdictLimits> = {}): Check {
  return {
    id: 'unused-indexes',
    ofOwnRows: true,
    title: 'Unused indexes',
    why: 'Every index costs each write and its place on disk. One that no query has used since the counters began may be dropped, unless something rare needs it, or a standby, whose use is not counted here.',
    async run({ tx, capabilities }) {
      const { rows, nowMs, since } = await readIndexes(tx, capabilities);
      const verdictLimits = { ...usualVerdictLimits, ...limits };
      const counting = countersSinceText(since, nowMs);
      const ageMs = nowMs - since.countersSince.getTime();
      if (ageMs < verdictLimits.leastAgeMs) return skipped(tooEarlyText(ageMs, verdictLimits));
      const unused = rows.filter(
        (row) => verdictOf(row, { nowMs, since, limits: verdictLimits }).id === 'unused',
      );
      const [first] = unused;
      if (!first) return good(`Every large index is used (${counting}).`);
      const lines = unused.map(
        ({ index, table, bytes, serves }) =>
          `${index} on ${table}, ${formatBytes(bytes)}${serves === null ? '' : `: ${serves}`}`,
      );
      const total = unused.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
      return {
        severity: 'advice',
        evidence: `${counted(unused.length, 'index', 'indexes')} unused (${counting}), ${formatBytes(total)}: ${firstOf(unused.map(({ index }) => index))}.`,
        items: lines,
        fix: 'Look at what it serves (its comment), here or with Enter in the pane of index usage. Drop it when nobody asks that here; "schema verify" will then name it.',
        command: dropStatement(capabilities.schema, first.index),
      };
    },
  };
}

export const unusedIndexes = unusedIndexesCheck();
