import type pg from 'pg';
import { formatDuration } from '../../../src/core/format/time.js';
import { formatCount, formatShare } from '../../../src/core/format/number.js';
import { formatClock } from '../../../src/core/format/time.js';
import { boxOf, refreshUntil } from './console.js';
import type { TerminalDriver } from './terminal.js';

type Query = (sql: string) => Promise<pg.QueryResult>;

/** Waits until every pane of the overview shows what plain SQL finds, after traffic of the demo that has ended. */
export async function showsWhatIsThere(driver: TerminalDriver, query: Query): Promise<void> {
  const plain = await plainFigures(query);
  const shows = (lines: string[], title: string, ...texts: (string | RegExp)[]) => {
    const box = boxOf(lines, title).join('\n');
    return texts.every((text) => (typeof text === 'string' ? box.includes(text) : text.test(box)));
  };
  await refreshUntil(driver, (lines) =>
    shows(lines, '1 Recent', `${plain.traces} in 1h`, ...plain.statuses),
  );
  await refreshUntil(driver, (lines) =>
    shows(lines, '2 Slow', `${plain.calls} calls in 1h`, plain.slowest),
  );
  await refreshUntil(driver, (lines) => shows(lines, '3 Index', `${plain.indexes} indexes`));
  await refreshUntil(driver, (lines) => shows(lines, '4 Table', `${plain.tables} tables`));
  await refreshUntil(driver, (lines) => shows(lines, '5 Top', plain.best));
  await refreshUntil(
    driver,
    (lines) => boxOf(lines, '6 Activity').at(-1)?.startsWith(plain.newest) === true,
  );
}

/** What the panes must come to, as they write it. */
async function plainFigures(query: Query) {
  const all = async <Row extends pg.QueryResultRow>(sql: string) =>
    (await query(sql)).rows as Row[];
  const one = async (sql: string) =>
    formatCount(Number((await all<{ n: string }>(`SELECT (${sql}) AS n`))[0]?.n));
  const statuses = await all<{ status: string; n: number }>(
    'SELECT status, count(*)::int AS n FROM execution_traces GROUP BY status',
  );
  const [slowest] = await all<{ hook: string; tool: string; n: number; most: string }>(
    `SELECT hook_name AS hook, COALESCE(tool_name, '–') AS tool, count(*)::int AS n, max(duration_ms) AS most
     FROM hook_executions GROUP BY hook_name, tool_name ORDER BY sum(duration_ms) DESC LIMIT 1`,
  );
  const [best] = await all<{ intent: string; rate: number }>(
    `SELECT intent_classification AS intent, success_rate::float8 AS rate FROM pattern_effectiveness
     ORDER BY success_rate DESC, total_usage_count DESC LIMIT 1`,
  );
  const [newest] = await all<{ at: Date }>(
    `SELECT max(at) AS at FROM (SELECT started_at AS at FROM execution_traces UNION ALL SELECT started_at FROM hook_executions
       UNION ALL SELECT started_at FROM endpoint_calls UNION ALL SELECT created_at FROM agent_routing_decisions) AS event`,
  );
  if (!slowest || !best || !newest) throw new Error('the demo wrote nothing');
  return {
    traces: await one('SELECT count(*) FROM execution_traces'),
    statuses: statuses.map(({ status, n }) => new RegExp(`^${status} +${formatCount(n)} `, 'm')),
    calls: await one('SELECT count(*) FROM hook_executions'),
    slowest: new RegExp(
      `^${begins(slowest.hook)} +${begins(slowest.tool)} +${formatCount(slowest.n)} .* ${formatDuration(Number(slowest.most))} `,
      'm',
    ),
    indexes: await one(`SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'`),
    tables: await one(`SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`),
    best: new RegExp(`^${begins(best.intent)} .* ${formatShare(best.rate)} `, 'm'),
    newest: formatClock(newest.at),
  };
}

/** A name as a pane may cut it. */
function begins(name: string): string {
  return `${name.slice(0, 12)}[^ ]*`;
}
