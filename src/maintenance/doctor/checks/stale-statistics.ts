import { quoteIdent } from '../../../db/quote.js';
import { withSeparators } from '../../../shared/format/number.js';
import { counted, firstOf, good, type Check } from '../check.js';
import { overdue, readTableCounts } from '../read-table-counts.js';

export const staleStatistics: Check = {
  id: 'stale-statistics',
  title: 'Stale statistics',
  why: 'The planner chooses its way by statistics. When they are missing or old it guesses, and a query that took milliseconds may read a whole table.',
  async run({ tx, capabilities }) {
    const rows = await readTableCounts(tx, capabilities.schema);
    const stale = rows.filter(
      (row) =>
        (!row.analyzed && row.rows >= overdue.rows) ||
        row.changed > overdue.rows + overdue.changed * row.rows,
    );
    const [first] = stale;
    if (!first) return good('The statistics of every table are up to date.');
    const lines = stale.map(({ table, rows: count, changed, analyzed }) =>
      analyzed
        ? `${table}: ${withSeparators(changed)} of about ${withSeparators(count)} rows changed since`
        : `${table}: never analysed, about ${withSeparators(count)} rows`,
    );
    return {
      severity: 'warning',
      evidence: `${counted(stale.length, 'table')}: ${firstOf(lines, 2)}.`,
      items: lines,
      mend: 'Analyse them; it reads a sample and blocks nobody. u does it on the pane of table sizes.',
      command: `ANALYZE ${stale.map(({ table }) => quoteIdent(capabilities.schema, table)).join(', ')};`,
    };
  },
};
