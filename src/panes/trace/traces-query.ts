import { readNumber } from '../../core/values.js';
import { columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';
import type { ListedRow, ListField, ListOrder, ListQuery } from '../contract/listing.js';
import { usageOf, type UsageGrouping } from '../reading/usage.js';
import { within } from '../reading/windows.js';
import { boundedText } from '../../db/quote.js';

/** Which traces. Those of a session and those found by their id may be of any time, the others are of the window. */
export type TracesOf =
  | { by: 'all' }
  | { by: 'status'; status: string }
  /** In progress for longer than this, whenever they started. */
  | { by: 'stuck'; stuckAfterMs: number }
  | { by: 'agent'; agent: string }
  | { by: 'project'; project: string }
  /** Their own model, or one that they called; its first 200 characters. */
  | { by: 'model'; model: string }
  /** The traces behind a row of the usage pane; null: those without such a value. */
  | { by: 'usage'; grouping: UsageGrouping; group: string | null }
  /** The id of the session begins with these hexadecimal digits. */
  | { by: 'session'; digits: string }
  /** These traces. */
  | { by: 'ids'; ids: readonly string[] }
  /** The prompt has this text, whatever the case. */
  | { by: 'prompt'; text: string }
  /** Prompts of one group; null: of those that say nothing of it. */
  | { by: 'prompts'; grouping: PromptGrouping; group: string | null }
  /** These traces, the most similar first, each with its similarity (0..1). */
  | { by: 'nearest'; ids: readonly string[]; alike: readonly number[] }
  /** The prompt has at least half of these words, which are in lower case. */
  | { by: 'words'; words: readonly string[]; not: string };

/** What prompts can have in common. `similar`: the pattern that their routing followed, else their first words. */
export const promptGroupings = ['similar', 'session', 'intent', 'project', 'agent'] as const;

export type PromptGrouping = (typeof promptGroupings)[number];

/** So many words of a prompt say what it asks for. */
const wordsOfGroup = 8;

/** What a prompt is counted under, as SQL; its first 200 characters. */
export function promptGroupOf(shape: SchemaShape, grouping: PromptGrouping, alias: string): string {
  if (grouping !== 'similar' && grouping !== 'intent') return usageOf(shape, grouping, alias);
  const knowsPattern =
    hasColumn(shape, 'agent_routing_decisions', 'pattern_id') &&
    hasColumn(shape, 'success_patterns', 'intent_classification');
  // By idx_routing_trace and the primary key.
  const followed = (what: string) =>
    knowsPattern
      ? `(SELECT ${boundedText(what, 200)} FROM agent_routing_decisions AS d JOIN success_patterns AS p ON p.id = d.pattern_id
    WHERE d.trace_id = ${alias}.id ORDER BY d.created_at DESC LIMIT 1)`
      : 'NULL::text';
  if (grouping === 'intent') return followed('p.intent_classification');
  const prompt = columnOrNull(shape, 'execution_traces', 'prompt_text', 'text');
  const words = `regexp_replace(regexp_replace(lower(left(${prompt}, 300)), '"[^"]*"|\\S*[0-9/\\\\]\\S*', ' ', 'g'), '[[:space:][:punct:]]+', ' ', 'g')`;
  return `COALESCE(${followed("'pattern: ' || p.intent_classification")},
    (SELECT ${boundedText('first', 200)} FROM (
      SELECT array_to_string((string_to_array(btrim(${words}), ' '))[1:${wordsOfGroup}], ' ') AS first OFFSET 0) AS one))`;
}

/** A text is looked for in so many prompts at most, the newest of the window: no index has their words. */
export const mostPromptsSearched = 20_000;

export type ListedTraceRow = {
  id: string;
  session_id: string | null;
  correlation_id: string | null;
  started_at: Date | null;
  status: string | null;
  duration_ms: number | null;
  source: string | null;
  project: string | null;
  user_id: string | null;
  model: string | null;
  error_type: string | null;
  error_message: string | null;
  prompt: string | null;
  /** The error where there is one, else the prompt. */
  text: string | null;
  /** The similarity to the trace that was asked about, 0..1; only in a list of similar traces. */
  alike?: number;
};

/** Texts are cut: a prompt may be a megabyte. `failed` is the condition of the index of failures. */
function tracesText(shape: SchemaShape, of: TracesOf): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'execution_traces', column, type);
  return `
SELECT
  id,
  ${optional('session_id', 'uuid')} AS session_id,
  ${optional('correlation_id', 'uuid')} AS correlation_id,
  started_at,
  ${boundedText('status', 100)} AS status,
  status IN ('failed', 'timeout') AS failed,
  ${optional('duration_ms', 'bigint')} AS duration_ms,
  ${boundedText(optional('source', 'text'), 200)} AS source,
  ${boundedText(optional('project', 'text'), 200)} AS project,
  ${boundedText(optional('user_id', 'text'), 200)} AS user_id,
  ${boundedText(optional('model', 'text'), 200)} AS model,
  ${boundedText(optional('error_type', 'text'), 200)} AS error_type,
  ${boundedText(optional('error_message', 'text'), 300)} AS error_message,
  ${boundedText(optional('prompt_text', 'text'), 300)} AS prompt,
  ${boundedText(`COALESCE(${optional('error_message', 'text')}, ${optional('prompt_text', 'text')})`, 300)} AS text,
  ${alikeOf(of, optional('prompt_text', 'text'))} AS alike
FROM execution_traces
WHERE ${conditionsOf(of, shape).join(' AND ')}`;
}

/** `$1`, `$2`: window; `$3`: what the traces have in common. Parameters that are not used get their types here. */
function conditionsOf(of: TracesOf, shape: SchemaShape): readonly string[] {
  const inWindow = (at: string) => within(at, '$1', '$2');
  const anyTime = '($1::float8 IS NOT NULL OR $2::float8 IS NOT NULL)';
  switch (of.by) {
    case 'all':
      return [inWindow('started_at')];
    case 'usage': {
      const group = usageOf(shape, of.grouping, 'execution_traces');
      return [inWindow('started_at'), `${group} IS NOT DISTINCT FROM $3::text`];
    }
    case 'stuck':
      return [
        "status = 'in_progress'",
        "started_at < now() - $3::float8 * interval '1 second'",
        'isfinite(started_at)',
        anyTime,
      ];
    case 'session':
      return [`session_id BETWEEN rpad($3, 32, '0')::uuid AND rpad($3, 32, 'f')::uuid`, anyTime];
    case 'ids':
      return ['id = ANY ($3::uuid[])', anyTime];
    case 'prompt':
      return [
        `id IN (
  SELECT id FROM (
    SELECT id, prompt_text FROM execution_traces WHERE ${inWindow('started_at')}
    ORDER BY started_at DESC LIMIT ${mostPromptsSearched}) AS newest
  WHERE prompt_text ILIKE $3)`,
      ];
    case 'prompts': {
      const group = promptGroupOf(shape, of.grouping, 'execution_traces');
      const prompt = columnOrNull(shape, 'execution_traces', 'prompt_text', 'text');
      return [
        inWindow('started_at'),
        `${prompt} IS NOT NULL`,
        `${group} IS NOT DISTINCT FROM $3::text`,
      ];
    }
    case 'nearest':
      return ['id = ANY ($3::uuid[])', '$4::float8[] IS NOT NULL', anyTime];
    case 'words':
      return [
        `id IN (
  SELECT id FROM (
    SELECT id, lower(left(prompt_text, 2000)) AS prompt FROM execution_traces
    WHERE ${inWindow('started_at')} ORDER BY started_at DESC LIMIT ${mostPromptsSearched}) AS newest
  WHERE ${likeness('prompt')} >= 0.5)`,
        'id <> $4::uuid',
      ];
    case 'status':
      return [inWindow('started_at'), `${boundedText('status', 100)} = $3`];
    case 'project':
      return [inWindow('started_at'), 'project = $3'];
    case 'model': {
      const own = columnOrNull(shape, 'execution_traces', 'model', 'text');
      const called = `id IN (
  SELECT trace_id FROM endpoint_calls
  WHERE ${boundedText("context ->> 'model'", 200)} = $3 AND ${inWindow('started_at')})`;
      const isOwn = `${boundedText(own, 200)} = $3`;
      const calls = hasColumn(shape, 'endpoint_calls', 'context');
      return [inWindow('started_at'), calls ? `(${isOwn} OR ${called})` : isOwn];
    }
    case 'agent':
      return [
        `id IN (
  SELECT trace_id FROM agent_routing_decisions
  WHERE agent_selected = $3 AND ${inWindow('created_at')})`,
      ];
  }
}

/** The share of the words `$3` that are in a text in lower case. */
function likeness(text: string): string {
  return `(SELECT avg(CASE WHEN position(word IN ${text}) > 0 THEN 1 ELSE 0 END) FROM unnest($3::text[]) AS word)`;
}

/** The similarity of a trace to the one that was asked about (0..1), as SQL; NULL in other lists. */
function alikeOf(of: TracesOf, prompt: string): string {
  if (of.by === 'nearest') return '($4::float8[])[array_position($3::uuid[], id)]';
  if (of.by !== 'words') return 'NULL::float8';
  return `COALESCE(${likeness(`lower(left(${prompt}, 2000))`)}, 0)::float8`;
}

export function isByLikeness({ by }: TracesOf): boolean {
  return by === 'nearest' || by === 'words';
}

const newest: ListOrder = {
  id: 'started',
  title: 'newest',
  sql: 'listed.started_at',
  type: 'timestamptz',
};
export const slowest: ListOrder = {
  id: 'took',
  title: 'slowest',
  sql: 'COALESCE(listed.duration_ms, -1)::float8',
  type: 'float8',
};
const mostAlike: ListOrder = {
  id: 'alike',
  title: 'most alike',
  type: 'float8',
  sql: 'listed.alike',
};

/** The fields of a filter: columns of the trace, and of rows that belong to it. */
function fieldsOf(shape: SchemaShape): readonly ListField[] {
  const beside = (id: string, table: string, column: string): ListField[] =>
    !hasColumn(shape, table, column) || !hasColumn(shape, table, 'trace_id')
      ? []
      : [
          {
            id,
            title: id,
            format: 'text',
            within: (holds) =>
              `EXISTS (SELECT FROM ${table} AS b WHERE b.trace_id = listed.id AND ${holds(`b.${column}`)})`,
          },
        ];
  const intent: ListField = {
    id: 'intent',
    title: 'intent',
    format: 'text',
    within: (holds) => `EXISTS (
  SELECT FROM agent_routing_decisions AS d JOIN success_patterns AS p ON p.id = d.pattern_id
  WHERE d.trace_id = listed.id AND ${holds('p.intent_classification')})`,
  };
  // What failed in it, although it went on: of calls and hooks, type and words.
  const failedIn = ['endpoint_calls', 'hook_executions'].filter((table) =>
    ['trace_id', 'success', 'error_type', 'error_message'].every((column) =>
      hasColumn(shape, table, column),
    ),
  );
  const failure: ListField = {
    id: 'failure',
    title: 'failure',
    format: 'text',
    within: (holds) =>
      `(${failedIn
        .map(
          (table) =>
            `EXISTS (SELECT FROM ${table} AS b WHERE b.trace_id = listed.id AND b.success = false AND ${holds("concat_ws(': ', b.error_type, b.error_message)")})`,
        )
        .join(' OR ')})`,
  };
  const knowsIntent =
    hasColumn(shape, 'agent_routing_decisions', 'pattern_id') &&
    hasColumn(shape, 'success_patterns', 'intent_classification');
  return [
    ...ownFields,
    ...beside('agent', 'agent_routing_decisions', 'agent_selected'),
    ...beside('hook', 'hook_executions', 'hook_name'),
    ...beside('tool', 'hook_executions', 'tool_name'),
    ...beside('service', 'endpoint_calls', 'service_name'),
    ...(failedIn.length > 0 ? [failure] : []),
    ...(knowsIntent ? [intent] : []),
    ...(hasColumn(shape, 'execution_traces', 'tags') ? [tag] : []),
  ];
}

/** `tag:otlp:0af7…`: the trace id of whoever sent it by OpenTelemetry. */
const tag: ListField = {
  id: 'tag',
  title: 'tag',
  format: 'text',
  within: (holds) => `EXISTS (
  SELECT FROM execution_traces AS b, unnest(b.tags) AS tag WHERE b.id = listed.id AND ${holds('tag')})`,
};

const ownFields: readonly ListField[] = [
  { id: 'started', title: 'started', format: 'timestamp', sql: 'listed.started_at' },
  { id: 'age', title: 'ago', format: 'age', sql: 'listed.started_at' },
  { id: 'status', title: 'status', format: 'text', sql: 'listed.status' },
  { id: 'durationMs', title: 'took', format: 'duration', sql: 'listed.duration_ms' },
  { id: 'source', title: 'source', format: 'text', sql: 'listed.source' },
  { id: 'project', title: 'project', format: 'text', sql: 'listed.project' },
  { id: 'user', title: 'user', format: 'text', sql: 'listed.user_id' },
  { id: 'model', title: 'model', format: 'text', sql: 'listed.model' },
  { id: 'error', title: 'error', format: 'text', sql: 'listed.error_type' },
  { id: 'text', title: 'error or prompt', format: 'text', sql: 'listed.text' },
  { id: 'prompt', title: 'prompt', format: 'text', sql: 'listed.prompt' },
  { id: 'correlationId', title: 'correlation id', format: 'text', sql: 'listed.correlation_id' },
  { id: 'session', title: 'session', format: 'text', sql: 'listed.session_id' },
  { id: 'id', title: 'id', format: 'text', sql: 'listed.id' },
];

/** The traces of one kind; their rows come newest first from the index by time. */
export function tracesQuery(shape: SchemaShape, of: TracesOf): ListQuery<ListedTraceRow> {
  return {
    text: tracesText(shape, of),
    values: valuesOf(of),
    fields: fieldsOf(shape),
    orders: isByLikeness(of) ? [mostAlike, newest, slowest] : [newest, slowest],
    failed: 'listed.failed',
    rowOf: isByLikeness(of)
      ? (row) => ({ ...rowOf(row), alike: readNumber(String(row.alike)) })
      : rowOf,
  };
}

function rowOf(row: ListedRow): ListedTraceRow {
  const named = Object.fromEntries(rowColumns.map((column) => [column, row[column] ?? null]));
  return named as unknown as ListedTraceRow;
}

const rowColumns: readonly (keyof ListedTraceRow)[] = [
  'id',
  'session_id',
  'correlation_id',
  'started_at',
  'status',
  'duration_ms',
  'source',
  'project',
  'user_id',
  'model',
  'error_type',
  'error_message',
  'prompt',
  'text',
];

function valuesOf(of: TracesOf): readonly unknown[] {
  switch (of.by) {
    case 'all':
      return [];
    case 'status':
      return [of.status];
    case 'usage':
      return [of.group];
    case 'stuck':
      return [of.stuckAfterMs / 1000];
    case 'agent':
      return [of.agent];
    case 'prompts':
      return [of.group];
    case 'nearest':
      return [of.ids, of.alike];
    case 'words':
      return [of.words, of.not];
    case 'project':
      return [of.project];
    case 'model':
      return [of.model];
    case 'session':
      return [of.digits];
    case 'ids':
      return [of.ids];
    case 'prompt':
      return [`%${of.text.replace(/[\\%_]/g, '\\$&')}%`];
  }
}
