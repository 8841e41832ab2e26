import { formatAge } from '../../../core/format/time.js';
import { counted, withSeparators } from '../../../core/format/number.js';
import { closeStuckCommand, isStuck, stuckCutoff, stuckList } from '../../close-stuck.js';
import { good, readByIndexOnly, skipped, type Check, firstOf, stuckTracesId } from '../check.js';
import { readPolicy, recommendedPolicy } from '../../retention/policy.js';
import { readRuns, whoRuns } from '../../journal/run.js';
import { copyText, readMaterialized } from '../../../deploy/materialized.js';

/** Counting stops here: a higher number says no more. */
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
  WHERE ${isStuck} ORDER BY started_at LIMIT $2
) AS running`;

export const stuckTraces: Check = {
  id: stuckTracesId,
  title: 'Stuck traces',
  why: 'A trace in progress for long is one whose writer died, most often. It falsifies what is running now, and its tree is kept out of the archive for seven days.',
  async run({ tx, capabilities }) {
    const index = await tx.query<{ indexed: boolean }>(indexStatement, [capabilities.schema]);
    if (index.rows[0]?.indexed !== true) {
      return skipped('there is no index of the traces in progress; "schema apply" creates it');
    }
    await readByIndexOnly(tx);
    const cutoff = await stuckCutoff(tx);
    const { rows } = await tx.query<{ stuck: number; oldest_ms: number; for_a_day: number }>(
      stuckStatement,
      [cutoff, most],
    );
    const { stuck = 0, oldest_ms: oldestMs = 0, for_a_day: forADay = 0 } = rows[0] ?? {};
    if (stuck === 0) return good('No trace is in progress for more than 30 minutes.');
    const number = stuck < most ? withSeparators(stuck) : `${withSeparators(most)} or more`;
    return {
      severity: forADay > 0 ? 'warning' : 'advice',
      evidence: `${number} in progress for more than 30 minutes, the oldest for ${formatAge(oldestMs)}.`,
      fix: `Look at them: :${stuckList} lists exactly these. When their writers are gone, close them: :${closeStuckCommand.id} there, or the command.`,
      command: `trace-console close-stuck --started-before ${cutoff}`,
    };
  },
};

const dayMs = 86_400_000;

/** Rows that became due within the last day are no finding: tonight's run takes them. */
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
      fix: stored
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

/** Of the latest runs and the last week; what crashed long ago is history. */
const latest = { runs: 50, ms: 7 * 86_400_000 };

export const crashedRuns: Check = {
  id: 'crashed-runs',
  title: 'Broken maintenance',
  why: 'A maintenance run whose console died has done a part of its work. What it had begun is whole, but the rest is still to be done.',
  async run({ tx, capabilities: { schema } }) {
    const runs = await readRuns(tx, schema, latest.runs);
    const crashed = runs.filter(
      ({ state, resumedBy, id, action, startedAt }) =>
        state === 'crashed' &&
        resumedBy === null &&
        Date.now() - startedAt.getTime() < latest.ms &&
        // The same action has been run since: it is done.
        !runs.some((next) => next.id > id && next.action === action && next.state === 'done'),
    );
    const [first] = crashed;
    if (!first) return good('Every run of the journal came to its end.');
    const lines = crashed.map(
      (run) =>
        `run ${run.id}, ${run.title}${run.subject === null ? '' : ` (${run.subject})`}, of ${whoRuns(run)}`,
    );
    return {
      severity: 'advice',
      evidence: `${counted(crashed.length, 'run')} whose console died: ${firstOf(lines, 2)}.`,
      items: lines,
      fix: 'Run it again, or leave it: the next run of the same action goes on where it ended.',
      command: `trace-console runs resume ${first.id}`,
    };
  },
};

/** Where no policy says how old a materialized view may become. */
const usualRefresh = '1 day';

export const materializedViews: Check = {
  id: 'materialized-views',
  title: 'Materialized views',
  why: 'A materialized view shows the figures of its last refresh, and goes on showing them when nobody refreshes it any more.',
  async run({ tx, capabilities: { schema } }) {
    const copies = await readMaterialized(tx, schema);
    if (copies.length === 0) return good('No view is materialized.');
    const policy = await readPolicy(tx, schema);
    const after = policy?.refreshAfter ?? null;
    // Twice the age: whoever refreshes it may have just missed it.
    const { rows } = await tx.query<{ ms: number }>(
      `SELECT 1000 * date_part('epoch', $1::interval) * $2::int AS ms`,
      [after ?? usualRefresh, after === null ? 1 : 2],
    );
    const limitMs = rows[0]?.ms ?? dayMs;
    const broken = copies.flatMap(({ name, problem }) =>
      problem === undefined ? [] : [`trace_console.${name} ${problem}`],
    );
    const stale = copies.filter(({ ageMs }) => ageMs !== null && ageMs > limitMs);
    const by =
      after === null ? 'no policy says how old it may be' : `to be refreshed after ${after}`;
    if (broken.length + stale.length === 0) return good(`${copies.map(copyText).join('; ')}.`);
    return {
      severity: after === null && broken.length === 0 ? 'advice' : 'warning',
      evidence: firstOf([...broken, ...stale.map((copy) => `${copyText(copy)} (${by})`)], 2) + '.',
      items: [...broken, ...stale.map(copyText)],
      fix:
        broken.length > 0
          ? 'Drop it, and make it anew.'
          : 'Refresh it, and let cron (maintain --once) or pg_cron (maintain schedule set) do it from now on.',
      command:
        broken.length > 0
          ? 'trace-console schema materialize --drop'
          : 'trace-console schema materialize --refresh',
    };
  },
};
