import { quoteLiteral } from '../../../db/quote.js';
import { formatBytes } from '../../../shared/format/bytes.js';
import { counted, exceptEmbedded, firstOf, good, type Check } from '../check.js';

type Row = { slot: string; active: boolean; bytes: number | null; status: string | null };

const slotsStatement = `
SELECT slot_name::text AS slot, active, wal_status AS status,
  pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
    restart_lsn)::float8 AS bytes
FROM pg_replication_slots ORDER BY bytes DESC NULLS LAST`;

/** A check with another limit than 1 GB of held log; for tests. */
export function replicationSlotsCheck(leastBytes = 1_073_741_824): Check {
  return {
    id: 'replication-slots',
    title: 'Replication slots',
    why: 'A slot keeps the write-ahead log until its reader has it, without limit unless max_slot_wal_keep_size is set. One that nobody reads fills the disk, and may keep vacuum from removing rows.',
    skip: exceptEmbedded('nothing replicates it'),
    async run({ tx }) {
      const { rows } = await tx.query<Row>(slotsStatement);
      const bad = rows.filter(
        ({ active, bytes, status }) => !active || status === 'lost' || (bytes ?? 0) > leastBytes,
      );
      const [first] = bad;
      if (!first) {
        return good(
          rows.length === 0
            ? 'There are none.'
            : `${counted(rows.length, 'slot')}, all being read.`,
        );
      }
      const lines = bad.map(
        ({ slot, active, bytes, status }) =>
          `${slot} ${active ? 'is read' : 'is not read'}, ${
            status === 'lost' ? 'has lost its log' : `holds ${formatBytes(bytes ?? 0)} of log`
          }`,
      );
      const severe = bad.some(
        ({ bytes, status }) => status === 'lost' || (bytes ?? 0) > leastBytes,
      );
      return {
        severity: severe ? 'warning' : 'advice',
        evidence: `${firstOf(lines, 2)}.`,
        items: lines,
        mend: 'Start its reader again. When there is none any more, drop the slot; and let max_slot_wal_keep_size bound what one may hold.',
        command: `SELECT pg_drop_replication_slot(${quoteLiteral(first.slot)});`,
      };
    },
  };
}

export const replicationSlots = replicationSlotsCheck();
