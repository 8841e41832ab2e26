import { formatAge } from '../../../shared/format/duration.js';
import { withSeparators } from '../../../shared/format/number.js';
import { good, readByIndexOnly, skipped, type Check } from '../check.js';

/** Counted no further than this. */
const most = 1_000;

/** Only by an index of the traces in progress: without one the whole table would be read. */
const indexStatement = `
SELECT EXISTS (
  SELECT FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid
  WHERE t.relname = 'execution_traces' AND t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
    AND x.indisvalid AND pg_get_expr(x.indpred, x.indrelid) LIKE '%in_progress%') AS indexed`;

const stuckStatement = `
SELECT count(*) AS stuck, 1000 * date_part('epoch', now() - min(started_at)) AS oldest_ms,
  count(*) FILTER (WHERE started_at < now() - interval '1 day') AS for_a_day
FROM (
  SELECT started_at FROM execution_traces
  WHERE status = 'in_progress' AND started_at < now() - interval '30 minutes' AND isfinite(started_at)
  ORDER BY started_at LIMIT $1
) AS running`;

export const stuckTraces: Check = {
  id: 'stuck-traces',
  title: 'Stuck traces',
  why: 'A trace in progress for long is one whose writer died, most often. It falsifies what is running now, and its tree is kept out of the archive for seven days.',
  async run({ tx, capabilities }) {
    const index = await tx.query<{ indexed: boolean }>(indexStatement, [capabilities.schema]);
    if (index.rows[0]?.indexed !== true) {
      return skipped('there is no index of the traces in progress; "schema apply" creates it');
    }
    await readByIndexOnly(tx);
    const { rows } = await tx.query<{ stuck: number; oldest_ms: number; for_a_day: number }>(
      stuckStatement,
      [most],
    );
    const { stuck = 0, oldest_ms: oldestMs = 0, for_a_day: forADay = 0 } = rows[0] ?? {};
    if (stuck === 0) return good('No trace is in progress for more than 30 minutes.');
    const number = stuck < most ? withSeparators(stuck) : `${withSeparators(most)} or more`;
    return {
      severity: forADay > 0 ? 'warning' : 'advice',
      evidence: `${number} in progress for more than 30 minutes, the oldest for ${formatAge(oldestMs)}.`,
      mend: 'Look at them in the pane of recent traces. When their writers are gone, close them.',
      command:
        "UPDATE execution_traces SET status = 'timeout' WHERE status = 'in_progress' AND started_at < now() - interval '1 day';",
    };
  },
};
