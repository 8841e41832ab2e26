import { formatAge } from '../../../shared/format/duration.js';
import { counted, good, readByIndexOnly, type Check } from '../check.js';
import { readPolicy, recommendedPolicy } from '../../retention/policy.js';

const dayMs = 86_400_000;

/** What became due within the last day is the business of tonight's run. */
const grace = '1 day';

/**
 * The oldest row of a table, by an index that begins with its time (or NULL without one: the table is
 * not read then), and whether it was due a day ago.
 */
function oldestStatement(table: string, column: string): string {
  return `
SELECT 1000 * date_part('epoch', now() - oldest.at) AS age_ms,
  oldest.at < now() - $2::interval - interval '${grace}' AS overdue
FROM (
  SELECT (SELECT ${column} FROM ${table} WHERE isfinite(${column}) ORDER BY ${column} LIMIT 1) AS at
  WHERE EXISTS (
    SELECT FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
    WHERE t.relname = '${table}' AND t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
      AND a.attname = '${column}' AND x.indisvalid AND x.indpred IS NULL)
) AS oldest`;
}

type OldestRow = { age_ms: number | null; overdue: boolean | null };

export const retention: Check = {
  id: 'retention',
  title: 'Retention',
  why: 'Old traces and usage logs that are never moved or deleted make every table and index larger than what anybody looks at.',
  async run({ tx, capabilities: { schema } }) {
    const stored = await readPolicy(tx, schema);
    const policy = stored ?? recommendedPolicy;
    const overdue: string[] = [];
    await readByIndexOnly(tx);
    for (const { what, after, statement } of [
      {
        what: 'trace',
        after: policy.archiveAfter,
        statement: oldestStatement('execution_traces', 'started_at'),
      },
      {
        what: 'usage log',
        after: policy.pruneUsageAfter,
        statement: oldestStatement('pattern_usage_log', 'used_at'),
      },
    ]) {
      if (after === null) continue;
      const { rows } = await tx.query<OldestRow>(statement, [schema, after]);
      const [oldest] = rows;
      if (oldest?.overdue !== true) continue;
      overdue.push(`the oldest ${what} is ${ageText(oldest.age_ms)} old, to be kept ${after}`);
    }
    const by = stored ? 'the stored policy' : 'the recommended ages; no policy is stored';
    const [first] = overdue;
    if (first === undefined) return good(`Nothing is overdue (by ${by}).`);
    return {
      severity: stored ? 'warning' : 'advice',
      evidence: `Overdue by ${by}: ${overdue.join('; ')}.`,
      items: overdue,
      mend: stored
        ? 'Carry the policy out, and let cron or pg_cron do it from now on. What stays has a younger trace in its tree, or one in progress.'
        : 'Store a policy and let cron carry it out; or do it once by hand, with a and p.',
      command: stored
        ? 'trace-console maintain --once'
        : 'trace-console maintain policy set --archive-after 90d --prune-usage-after 180d --prune-patterns-after 30d',
    };
  },
};

function ageText(ms: number | null): string {
  const days = Math.floor((ms ?? 0) / dayMs);
  return days > 0 ? counted(days, 'day') : formatAge(ms);
}
