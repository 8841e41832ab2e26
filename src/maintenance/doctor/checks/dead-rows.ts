import { quoteIdent } from '../../../db/quote.js';
import { withSeparators } from '../../../shared/format/number.js';
import { counted, firstOf, good, type Check } from '../check.js';
import { overdue, readTableCounts } from '../read-table-counts.js';

export const deadRows: Check = {
  id: 'dead-rows',
  title: 'Dead rows',
  why: 'Rows that were changed or deleted stay until a vacuum removes them. Many of them make scans and index look-ups slow and the table grow.',
  async run({ tx, capabilities }) {
    const rows = await readTableCounts(tx, capabilities.schema);
    const due = rows.filter(({ dead, rows: live }) => dead > overdue.rows + overdue.dead * live);
    const [first] = due;
    if (!first) return good('No table holds more dead rows than autovacuum leaves.');
    const lines = due.map(
      ({ table, dead, rows: live }) =>
        `${table}: ${withSeparators(dead)} dead beside ${withSeparators(live)} live rows`,
    );
    return {
      severity: 'warning',
      evidence: `${counted(due.length, 'table')}: ${firstOf(lines, 2)}.`,
      items: lines,
      mend: 'Vacuum them (:vacuum on the pane of table sizes), and look why autovacuum did not: it may be off, or an old transaction, a replication slot or a prepared transaction keeps the rows (see those checks).',
      command: `VACUUM (ANALYZE) ${due.map(({ table }) => quoteIdent(capabilities.schema, table)).join(', ')};`,
    };
  },
};
