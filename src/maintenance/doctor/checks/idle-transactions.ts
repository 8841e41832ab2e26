import { quoteIdent } from '../../../db/quote.js';
import { formatAge } from '../../../shared/format/duration.js';
import { counted, firstOf, good, needsAllStats, type Check } from '../check.js';

type Limits = { idleMs: number; runningMs: number };

const usual: Limits = { idleMs: 5 * 60_000, runningMs: 3_600_000 };

type Row = {
  pid: number;
  role: string | null;
  application: string;
  idle: boolean;
  age_ms: number;
  query: string;
};

/** A check with other limits than the usual; for tests. */
export function idleTransactionsCheck(limits: Partial<Limits> = {}): Check {
  const { idleMs, runningMs } = { ...usual, ...limits };
  return {
    id: 'idle-transactions',
    title: 'Long transactions',
    why: 'An open transaction keeps its locks, and every row that was deleted since it began. One that waits for its client does so without any use, and concurrent index builds wait for it.',
    skip: needsAllStats('one session at a time, no transaction stays open beside it'),
    async run({ tx }) {
      const { rows } = await tx.query<Row>(
        `SELECT pid, usename::text AS role, application_name AS application,
           state LIKE 'idle in transaction%' AS idle, left(query, 120) AS query,
           1000 * date_part('epoch', clock_timestamp()
             - CASE WHEN state LIKE 'idle in transaction%' THEN state_change ELSE xact_start END) AS age_ms
         FROM pg_stat_activity
         WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
           AND backend_type = 'client backend'
         ORDER BY xact_start`,
      );
      const long = rows.filter(({ idle, age_ms }) => age_ms >= (idle ? idleMs : runningMs));
      const [first] = long;
      if (!first) return good('No transaction has been open for long.');
      const lines = long.map(
        ({ pid, role, application, idle, age_ms, query }) =>
          `pid ${pid} (${role ?? '?'}, ${application === '' ? 'no name' : application}) ${idle ? 'idle in its transaction' : 'running'} for ${formatAge(age_ms)}: ${query}`,
      );
      return {
        severity: 'warning',
        evidence: `${counted(long.length, 'transaction')}: ${firstOf(lines, 1)}`,
        items: lines,
        mend: 'Ask who runs it to end it. A time-out for the role keeps it from happening again.',
        command: `ALTER ROLE ${quoteIdent(first.role ?? 'ROLE')} SET idle_in_transaction_session_timeout = '10min';`,
      };
    },
  };
}

export const idleTransactions = idleTransactionsCheck();
