import { formatClockNear, formatDuration, formatTimestamp } from '../../core/format/time.js';
import { countedShort, formatCount, formatMoney } from '../../core/format/number.js';
import { byOwnKey } from '../../core/values.js';
import { mostInSlot } from '../../ingest/events.js';
import {
  sectionOr,
  type DetailAccess,
  type DetailSection,
  type Opening,
  type OpeningLine,
  type RecordRow,
} from '../contract/opening.js';
import type { SummaryLine } from '../contract/column.js';
import type { SchemaShape } from '../contract/shape.js';
import { columnOf } from '../reading/calls.js';
import { models } from '../models.js';
import { rowOpening } from '../contract/pane.js';
import { eventKey, statusTone } from './event.js';
import { knownDuration } from './hook-columns.js';
import { traceOpening } from './trace-opening.js';
import { boundedText } from '../../db/quote.js';

const mostPrompts = 200;
const mostNames = 30;

/** A session: its prompts on one time axis across their traces, and what tools, hooks and models took. */
export function sessionOpening(title: string, sessionId: string): Opening {
  return {
    title,
    async read(access) {
      const { read, shape } = access;
      const rows = await read<RecordRow>(sessionStatement, [shape.schema, sessionId]);
      let metrics: Figures = {};
      const work = await sectionOr('Work', async () => {
        metrics = await figuresOf(access, sessionId);
        return Object.keys(metrics).length === 0 ? [] : [workLine(metrics)];
      });
      return {
        kind: 'records',
        title,
        rows: rows.map((row) => (Object.keys(metrics).length === 0 ? row : { ...row, metrics })),
        isLive: true,
        sections: [
          await sectionOr('Prompts, oldest first', () => promptLines(access, sessionId)),
          ...(work.lines.length === 0 ? [] : [work]),
          await workSection('Tools', access, sessionId),
          await workSection('Hooks', access, sessionId),
          await sectionOr('Models', () => modelLines(access, sessionId)),
        ],
      };
    },
  };
}

const sessionStatement = `
SELECT session_id, ${boundedText('agent', 200)} AS agent, ${boundedText('session', 512)} AS session, ${boundedText('project', 512)} AS project,
  ${boundedText('cwd', 2000)} AS cwd, ${boundedText('git_branch', 512)} AS git_branch, ${boundedText('model', 200)} AS model,
  ${boundedText('permission_mode', 200)} AS permission_mode, ${boundedText('version', 200)} AS version,
  ${boundedText('transcript_path', 2000)} AS transcript_path, started_at, ended_at, ${boundedText('end_reason', 200)} AS end_reason,
  last_seen_at, ${boundedText('activity::text', 2000)} AS activity
FROM trace_console.agent_sessions WHERE target_schema = $1 AND session_id = $2::uuid`;

/** What metrics tell of a session, by their names in trace_console.agent_metrics; `more`: more points came than are kept. */
type Figures = Readonly<Partial<Record<string, number | true>>>;

async function figuresOf({ read, shape }: DetailAccess, sessionId: string): Promise<Figures> {
  const [table] = await read<{ there: boolean }>(
    `SELECT to_regclass('trace_console.agent_metrics') IS NOT NULL AS there`,
    [],
  );
  if (table?.there !== true) return {};
  const rows = await read<{ metric: string; total: number; is_full: boolean }>(
    `SELECT ${boundedText('metric', 100)} AS metric, round(sum(slot_total), 3)::float8 AS total, bool_or(kept >= $3) AS is_full
     FROM (
       SELECT metric, count(*) AS kept, sum(value::numeric) AS slot_total
       FROM trace_console.agent_metrics, jsonb_each_text(points)
       WHERE target_schema = $1 AND session_id = $2::uuid GROUP BY metric, slot) AS slots
     GROUP BY metric ORDER BY metric`,
    [shape.schema, sessionId, mostInSlot],
  );
  const isCut = rows.some(({ is_full: isFull }) => isFull);
  return {
    ...Object.fromEntries(rows.map(({ metric, total }) => [metric, total])),
    ...(isCut ? { more: true } : {}),
  };
}

function workLine(figures: Figures): SummaryLine {
  const of = (name: string) => Number(byOwnKey(figures, name) ?? 0);
  const [added, removed] = [of('lines_added'), of('lines_removed')];
  const [commits, requests] = [of('commits'), of('pull_requests')];
  const [user, agent, other] = [of('active_user_s'), of('active_cli_s'), of('active_other_s')];
  const seconds = (count: number) => formatDuration(count * 1_000);
  const parts = [
    added + removed > 0 ? `lines +${formatCount(added)} −${formatCount(removed)}` : '',
    commits > 0 ? countedShort(commits, 'commit') : '',
    requests > 0 ? countedShort(requests, 'pull request') : '',
    user + agent + other > 0 ? `active ${seconds(user + agent + other)}` : '',
  ];
  const whose = [
    user > 0 ? `user ${seconds(user)}` : '',
    agent > 0 ? `agent ${seconds(agent)}` : '',
  ];
  const joined = (texts: readonly string[]) => texts.filter((text) => text !== '').join(', ');
  return [
    ...(figures.more === true ? [{ text: 'at least', tone: 'warning' as const }] : []),
    { text: joined(parts) },
    ...(user + agent > 0 ? [{ text: joined(whose), tone: 'muted' as const }] : []),
  ];
}

type PromptRow = {
  id: string;
  now_ms: number;
  started_ms: number;
  ended_ms: number;
  status: string | null;
  prompt: string | null;
  tokens: number;
  cost_usd: number | null;
};

/** The newest prompts of a session, each with the tokens and cost of its whole tree. `$1`: session, `$2`: how many. */
function promptsStatement(shape: SchemaShape): string {
  const trace = columnOf(shape, 'execution_traces', 't');
  const each = columnOf(shape, 'execution_traces', 'e');
  const tokens = ['input_tokens', 'cache_read_tokens', 'cache_creation_tokens', 'output_tokens']
    .map((column) => `COALESCE(${each(column, 'bigint')}, 0)`)
    .join(' + ');
  return `
SELECT t.id, date_part('epoch', now()) * 1000 AS now_ms, (date_part('epoch', t.started_at) * 1000)::float8 AS started_ms,
  (date_part('epoch', COALESCE(${trace('completed_at', 'timestamptz')}, now())) * 1000)::float8 AS ended_ms,
  ${boundedText('t.status', 100)} AS status, ${boundedText(trace('prompt_text', 'text'), 200)} AS prompt, tree.*
FROM execution_traces AS t
CROSS JOIN LATERAL (
  SELECT COALESCE(sum(${tokens}), 0)::float8 AS tokens, sum(${each('cost_usd', 'numeric')})::float8 AS cost_usd
  FROM execution_traces AS e WHERE e.root_id = t.root_id) AS tree
WHERE t.session_id = $1::uuid AND ${trace('parent_id', 'uuid')} IS NULL
ORDER BY t.started_at DESC LIMIT $2`;
}

async function promptLines(access: DetailAccess, sessionId: string): Promise<OpeningLine[]> {
  const newest = await access.read<PromptRow>(promptsStatement(access.shape), [
    sessionId,
    mostPrompts,
  ]);
  if (newest.length === 0) return [{ line: [{ text: 'none', tone: 'muted' }] }];
  const prompts = newest.toReversed();
  const from = Math.min(...prompts.map(({ started_ms: at }) => at));
  const until = Math.max(from + 1, ...prompts.map(({ ended_ms: at }) => at));
  const clocks = prompts.map(({ started_ms: at, now_ms: now }) => {
    const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
    return isThisYear ? formatClockNear(new Date(at), now) : formatTimestamp(new Date(at));
  });
  // A date stands where one of them is not of today; then all times are as wide.
  const columns = Math.max(...clocks.map((clock) => clock.length));
  return prompts.map((prompt, at) => ({
    key: prompt.id,
    opening: traceOpening(prompt.id),
    line: promptLine(prompt, {
      clock: (clocks[at] ?? '').padStart(columns),
      span: {
        from: (prompt.started_ms - from) / (until - from),
        until: (prompt.ended_ms - from) / (until - from),
      },
    }),
  }));
}

function promptLine(
  { started_ms: started, ended_ms: ended, status, prompt, tokens, cost_usd: cost }: PromptRow,
  { clock, span }: { clock: string; span: { from: number; until: number } },
): SummaryLine {
  const tone = statusTone(status);
  return [
    { text: clock, tone: 'muted' },
    { text: '', columns: 24, least: 6, span, tone: tone ?? 'accent' },
    { text: formatDuration(ended - started).padStart(6) },
    { text: status ?? '', columns: 11, ...(tone ? { tone } : {}) },
    { text: countedShort(tokens, 'token').padStart(13), tone: 'muted' },
    { text: formatMoney(cost).padStart(8) },
    { text: prompt ?? '' },
  ];
}

type WorkRow = {
  name: string;
  calls: number;
  failures: number;
  running: number;
  /** Null: of none it is known. */
  total_ms: number | null;
  max_ms: number | null;
  /** Of the call that Enter opens: the newest that failed, else the longest. */
  trace_id: string;
  hook_id: string;
};

/** Tools, or hooks, of a session. */
async function workSection(
  title: 'Tools' | 'Hooks',
  access: DetailAccess,
  sessionId: string,
): Promise<DetailSection> {
  const unknown: WorkRow[] = [];
  const section = await sectionOr(title, async () => {
    const rows = await workOf(access, sessionId, title);
    unknown.push(...rows.filter(({ total_ms: total, running }) => total === null && running === 0));
    return rows.length === 0 ? [[{ text: 'none', tone: 'muted' }]] : rows.map(usesLine);
  });
  const legend = unknown.length > 0 ? ' (–: nobody told how long they took)' : '';
  return { ...section, title: `${title}${legend}` };
}

async function workOf(
  { read, shape }: DetailAccess,
  sessionId: string,
  which: 'Tools' | 'Hooks',
): Promise<WorkRow[]> {
  const hook = columnOf(shape, 'hook_executions', 'h');
  const type = hook('hook_type', 'text');
  const name = which === 'Tools' ? hook('tool_name', 'text') : 'h.hook_name';
  const took = knownDuration(hook, 'metadata');
  const first = (column: string) =>
    `(array_agg(${column} ORDER BY failed DESC, CASE WHEN failed THEN started_at END DESC, took DESC NULLS LAST))[1]`;
  return read<WorkRow>(
    `SELECT name, count(*)::int AS calls, count(*) FILTER (WHERE failed)::int AS failures,
       count(*) FILTER (WHERE running)::int AS running, sum(took)::float8 AS total_ms, max(took)::float8 AS max_ms,
       ${first('trace_id')} AS trace_id, ${first('id')} AS hook_id
     FROM (
       SELECT COALESCE(${boundedText(name, 200)}, '') AS name, h.id, h.trace_id, h.started_at, ${took} AS took,
         COALESCE(h.status IN ('failed', 'timeout'), false) AS failed, h.status = 'in_progress' AS running
       FROM execution_traces AS t JOIN hook_executions AS h ON h.trace_id = t.id
       WHERE t.session_id = $1::uuid AND ${type} ${which === 'Tools' ? "= 'ToolUse'" : "IS DISTINCT FROM 'ToolUse'"}) AS work
     GROUP BY 1 ORDER BY total_ms DESC NULLS LAST, calls DESC, 1 LIMIT $2`,
    [sessionId, mostNames],
  );
}

function usesLine({ name, calls, failures, running, ...row }: WorkRow): OpeningLine {
  const { total_ms: total, max_ms: max } = row;
  const longest = max === null ? '' : `longest ${formatDuration(max)}`;
  return {
    key: name,
    opening: traceOpening(row.trace_id, { select: eventKey('hook', row.hook_id) }),
    line: [
      { text: name, columns: 28, least: 14 },
      { text: countedShort(calls, 'call').padStart(10) },
      failures > 0
        ? { text: countedShort(failures, 'failure'), columns: 12, tone: 'error' }
        : { text: '', columns: 12 },
      { text: formatDuration(total).padStart(7) },
      running > 0
        ? { text: `${running} running`, tone: 'running' }
        : { text: longest, tone: 'muted' },
    ],
  };
}

type ModelRow = {
  model: string;
  calls: number;
  tokens_in: number;
  tokens_out: number;
  cost_usd: number | null;
};

/** Calls of models with their tokens in (cached or not) and out; a cost where one is known. */
async function modelLines(
  { read, shape }: DetailAccess,
  sessionId: string,
): Promise<(SummaryLine | OpeningLine)[]> {
  const context = columnOf(shape, 'endpoint_calls', 'c')('context', 'jsonb');
  const sum = (...kinds: string[]) =>
    kinds.map((kind) => `COALESCE((${context} -> 'usage' ->> '${kind}')::float8, 0)`).join(' + ');
  const rows = await read<ModelRow>(
    `SELECT ${boundedText(`${context} ->> 'model'`, 200)} AS model, count(*)::int AS calls,
       sum(${sum('input', 'cacheRead', 'cacheCreation')}) AS tokens_in, sum(${sum('output')}) AS tokens_out,
       sum((${context} -> 'cost' ->> 'usd')::float8) AS cost_usd
     FROM execution_traces AS t JOIN endpoint_calls AS c ON c.trace_id = t.id
     WHERE t.session_id = $1::uuid AND ${context} ->> 'model' IS NOT NULL
     GROUP BY 1 ORDER BY cost_usd DESC NULLS LAST, calls DESC LIMIT $2`,
    [sessionId, mostNames],
  );
  if (rows.length === 0) return [[{ text: 'none', tone: 'muted' }]];
  return rows.map(({ model, calls, tokens_in: read, tokens_out: written, cost_usd: cost }) => ({
    key: model,
    opening: rowOpening(models, { model }),
    line: [
      { text: model, columns: 28, least: 14 },
      { text: countedShort(calls, 'call').padStart(10) },
      { text: `${countedShort(read, 'token')} in`.padStart(16), tone: 'muted' },
      { text: `${countedShort(written, 'token')} out`.padStart(15), tone: 'muted' },
      { text: cost === null ? 'no price' : formatMoney(cost), columns: 8 },
    ],
  }));
}
