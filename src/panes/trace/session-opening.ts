import { formatDuration, formatClock, formatTimestamp } from '../../core/format/time.js';
import { formatCount, formatMoney } from '../../core/format/number.js';
import {
  sectionOr,
  type DetailAccess,
  type Opening,
  type OpeningLine,
  type RecordRow,
} from '../contract/opening.js';
import type { SummaryLine } from '../contract/column.js';
import type { SchemaShape } from '../contract/shape.js';
import { columnOf } from '../reading/calls.js';
import { statusTone } from './event.js';
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
      return {
        kind: 'records',
        title,
        rows,
        sections: [
          await sectionOr('Prompts, oldest first', () => promptLines(access, sessionId)),
          await sectionOr('Tools', () => workLines(access, sessionId, 'tools')),
          await sectionOr('Hooks', () => workLines(access, sessionId, 'hooks')),
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

type PromptRow = {
  id: string;
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
SELECT t.id, (date_part('epoch', t.started_at) * 1000)::float8 AS started_ms,
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
  const prompts = newest.toReversed();
  const from = Math.min(...prompts.map(({ started_ms: at }) => at));
  const until = Math.max(from + 1, ...prompts.map(({ ended_ms: at }) => at));
  const isOfDays = until - from > 86_400_000;
  return prompts.map((prompt) => ({
    opening: traceOpening(prompt.id),
    line: promptLine(prompt, { from, until, isOfDays }),
  }));
}

/** Columns of the time axis. */
const axis = 24;

function promptLine(
  { started_ms: started, ended_ms: ended, status, prompt, tokens, cost_usd: cost }: PromptRow,
  { from, until, isOfDays }: { from: number; until: number; isOfDays: boolean },
): SummaryLine {
  const column = (ms: number) => Math.floor(((ms - from) / (until - from)) * axis);
  const first = Math.min(axis - 1, Math.max(0, column(started)));
  const length = Math.min(axis - first, Math.max(1, column(ended) - first));
  const bar = `${' '.repeat(first)}${'█'.repeat(length)}`.padEnd(axis);
  const at = new Date(started);
  const tone = statusTone(status);
  return [
    { text: isOfDays ? formatTimestamp(at) : formatClock(at), tone: 'muted' },
    { text: bar, tone: tone ?? 'accent' },
    { text: formatDuration(ended - started).padStart(6) },
    { text: status ?? '', columns: 11, ...(tone ? { tone } : {}) },
    { text: formatCount(tokens).padStart(6), tone: 'muted' },
    { text: formatMoney(cost).padStart(8) },
    { text: prompt ?? '' },
  ];
}

type WorkRow = { name: string; calls: number; failures: number; total_ms: number; max_ms: number };

async function workLines(
  { read, shape }: DetailAccess,
  sessionId: string,
  which: 'tools' | 'hooks',
): Promise<SummaryLine[]> {
  const hook = columnOf(shape, 'hook_executions', 'h');
  const type = hook('hook_type', 'text');
  const name = which === 'tools' ? hook('tool_name', 'text') : 'h.hook_name';
  const rows = await read<WorkRow>(
    `SELECT COALESCE(${boundedText(name, 200)}, '') AS name, count(*)::int AS calls,
       count(*) FILTER (WHERE h.status IN ('failed', 'timeout'))::int AS failures,
       COALESCE(sum(h.duration_ms), 0)::float8 AS total_ms, COALESCE(max(h.duration_ms), 0)::float8 AS max_ms
     FROM execution_traces AS t JOIN hook_executions AS h ON h.trace_id = t.id
     WHERE t.session_id = $1::uuid AND ${type} ${which === 'tools' ? "= 'ToolUse'" : "IS DISTINCT FROM 'ToolUse'"}
     GROUP BY 1 ORDER BY total_ms DESC, calls DESC LIMIT $2`,
    [sessionId, mostNames],
  );
  if (rows.length === 0) return [[{ text: 'none', tone: 'muted' }]];
  return rows.map(({ name: what, calls, failures, total_ms: total, max_ms: max }) => [
    { text: what, columns: 28 },
    { text: `${formatCount(calls)} ${calls === 1 ? 'call ' : 'calls'}`.padStart(12) },
    failures > 0
      ? { text: `${formatCount(failures)} failed`, columns: 12, tone: 'error' }
      : { text: '', columns: 12 },
    { text: formatDuration(total).padStart(7) },
    { text: `longest ${formatDuration(max)}`, tone: 'muted' },
  ]);
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
): Promise<SummaryLine[]> {
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
  return rows.map(
    ({ model, calls, tokens_in: tokensIn, tokens_out: tokensOut, cost_usd: cost }) => [
      { text: model, columns: 28 },
      { text: `${formatCount(calls)} ${calls === 1 ? 'call ' : 'calls'}`.padStart(12) },
      { text: `${formatCount(tokensIn)} tokens in`.padStart(17), tone: 'muted' },
      { text: `${formatCount(tokensOut)} out`.padStart(11), tone: 'muted' },
      { text: cost === null ? 'no price' : formatMoney(cost) },
    ],
  );
}
