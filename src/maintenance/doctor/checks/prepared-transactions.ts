import { quoteLiteral } from '../../../db/quote.js';
import { formatAge } from '../../../shared/format/duration.js';
import { counted, exceptEmbedded, firstOf, good, type Check } from '../check.js';

type Row = { gid: string; owner: string; age_ms: number };

/** A check with another limit than 10 minutes; for tests. */
export function preparedTransactionsCheck(leastMs = 600_000): Check {
  return {
    id: 'prepared-transactions',
    title: 'Prepared transactions',
    why: 'A prepared transaction outlives its session and a restart. Forgotten by its manager it keeps its locks, and every dead row since, for ever.',
    skip: exceptEmbedded('it has none'),
    async run({ tx }) {
      const { rows } = await tx.query<Row>(
        `SELECT gid, owner::text AS owner, 1000 * date_part('epoch', clock_timestamp() - prepared) AS age_ms
         FROM pg_prepared_xacts
         WHERE database = current_database() AND prepared <= clock_timestamp() - $1::float8 * interval '1 millisecond'
         ORDER BY prepared`,
        [leastMs],
      );
      const [first] = rows;
      if (!first) return good('None has been waiting for long.');
      const lines = rows.map(
        ({ gid, owner, age_ms }) => `${gid} of ${owner}, prepared ${formatAge(age_ms)} ago`,
      );
      return {
        severity: 'warning',
        evidence: `${counted(rows.length, 'prepared transaction')}: ${firstOf(lines)}.`,
        items: lines,
        mend: 'Let its transaction manager finish it; when that has forgotten it, roll it back as its owner.',
        command: `ROLLBACK PREPARED ${quoteLiteral(first.gid)};`,
      };
    },
  };
}

export const preparedTransactions = preparedTransactionsCheck();
