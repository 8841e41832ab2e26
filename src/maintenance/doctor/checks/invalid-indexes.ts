import { formatBytes } from '../../../shared/format/bytes.js';
import { findLeftovers } from '../../reindex/leftovers.js';
import { counted, firstOf, good, type Check } from '../check.js';

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
      mend: first
        ? 'Rebuild it; r does it on the index pane.'
        : 'Drop what is left over; x does it.',
      command: first ? `trace-console reindex ${first.index}` : 'trace-console reindex --clean-up',
    };
  },
};
