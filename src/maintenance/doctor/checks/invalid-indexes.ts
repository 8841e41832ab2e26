import { leftoverPattern } from '../../../shared/index-leftovers.js';
import { counted, firstOf, good, type Check } from '../check.js';

type Row = { index: string; table: string; leftover: boolean };

export const invalidIndexes: Check = {
  id: 'invalid-indexes',
  title: 'Invalid indexes',
  why: 'An index whose concurrent build was broken off (a cancel, a lock time-out, a lost connection) is used by no query, but written with every row.',
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<Row>(
      `SELECT i.relname::text AS index, t.relname::text AS table, i.relname ~ $2 AS leftover
       FROM pg_index AS x
       JOIN pg_class AS i ON i.oid = x.indexrelid AND i.relkind = 'i'
       JOIN pg_class AS t ON t.oid = x.indrelid
       WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
         AND NOT (x.indisvalid AND x.indisready)
         AND NOT EXISTS (
           SELECT FROM pg_stat_progress_create_index AS p
           WHERE p.relid = x.indrelid AND p.datname = current_database())
       ORDER BY leftover, i.relname`,
      [capabilities.schema, leftoverPattern],
    );
    const [first] = rows;
    if (!first) return good('Every index is valid, or being built.');
    const original = first.index.replace(new RegExp(leftoverPattern), '');
    return {
      severity: 'warning',
      evidence: `${counted(rows.length, 'index', 'indexes')} of a broken build: ${firstOf(rows.map(({ index }) => index))}.`,
      items: rows.map(
        ({ index, table, leftover }) =>
          `${index} on ${table}: ${leftover ? 'left over, drop it' : 'rebuild it'}`,
      ),
      mend: first.leftover
        ? 'Rebuild the index it was meant for: that drops what earlier attempts left; r does it on the index pane.'
        : 'Rebuild it; r does it on the index pane.',
      command: `trace-console reindex ${first.leftover ? original : first.index}`,
    };
  },
};
