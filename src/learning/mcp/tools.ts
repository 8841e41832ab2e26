import { suggest } from '../router/suggest.js';
import {
  choiceOf,
  containing,
  textOf,
  toolLimits,
  uuidOf,
  wholeOf,
  type Argument,
  type Tool,
  ArgumentError,
  type ToolContext,
} from './tool.js';
import { archiveOf, type ArchivedTable, findsTags, hasOtlpTag } from '../../core/tables.js';
import { boundedText } from '../../db/quote.js';

/** Characters of a field in the tree, and of one that is asked for by itself. */
const longestField = 600;
const longestPart = 8_000;

/** Fields that may be asked for whole, by the table that holds them. */
const fields = {
  prompt_text: 'execution_traces',
  error_message: 'execution_traces',
  input_data: 'hook_executions',
  output_data: 'hook_executions',
  hook_error_message: 'hook_executions',
  error_stack: 'hook_executions',
  request_body: 'endpoint_calls',
  response_body: 'endpoint_calls',
  selection_reason: 'agent_routing_decisions',
} as const;

type Field = keyof typeof fields;
const fieldNames = Object.keys(fields) as Field[];

/** A text with how much of it was left out. */
const cut = (expression: string) =>
  `CASE WHEN length(${expression}) > ${longestField}
     THEN left(${expression}, ${longestField}) || '… [' || length(${expression}) - ${longestField} || ' more characters]'
     ELSE ${expression} END`;

/** All of a tree in the order of time; cut on the server, so that megabytes never travel. `table`: what a live table is called where it is read. */
const treeStatement = (table: (name: ArchivedTable) => string, isTagged: boolean) => `
WITH tree AS (
  SELECT * FROM ${table('execution_traces')} WHERE root_id = (
    SELECT root_id FROM ${table('execution_traces')} WHERE correlation_id = $1${isTagged ? ` OR ${hasOtlpTag('$1::uuid')}` : ''}
    ORDER BY correlation_id = $1 DESC LIMIT 1)
  ORDER BY started_at, id LIMIT $2
), events AS (
  SELECT t.started_at, 0 AS rank, jsonb_strip_nulls(jsonb_build_object('kind', 'trace', 'event', t.id,
      'trace', t.correlation_id, 'parent', t.parent_id, 'source', t.source, 'status', t.status, 'model', t.model,
      'started_at', t.started_at, 'duration_ms', t.duration_ms, 'cost_usd', t.cost_usd,
      'span_kind', t.context #>> '{span,kind}', 'tags', NULLIF(to_jsonb(t.tags[:20]), '[]'),
      'prompt_text', ${cut('t.prompt_text')}, 'error_type', t.error_type, 'error_message', ${cut('t.error_message')})) AS event
  FROM tree AS t
  UNION ALL
  SELECT d.created_at, 1, jsonb_strip_nulls(jsonb_build_object('kind', 'routing_decision', 'event', d.id,
      'trace', t.correlation_id, 'agent', d.agent_selected, 'confidence', d.confidence_score,
      'strategy', d.routing_strategy, 'selection_reason', ${cut('d.selection_reason')}))
  FROM tree AS t JOIN ${table('agent_routing_decisions')} AS d ON d.trace_id = t.id
  UNION ALL
  (SELECT h.started_at, 2, jsonb_strip_nulls(jsonb_build_object('kind', 'hook', 'event', h.id, 'trace', t.correlation_id,
      'hook_type', h.hook_type, 'hook_name', h.hook_name, 'tool', h.tool_name, 'file', h.file_path, 'status', h.status,
      'exit_code', h.exit_code, 'decision', h.decision, 'duration_ms', h.duration_ms,
      'input_data', ${cut('h.input_data::text')}, 'output_data', ${cut('h.output_data::text')},
      'error_type', h.error_type, 'hook_error_message', ${cut('h.error_message')}))
  FROM tree AS t JOIN ${table('hook_executions')} AS h ON h.trace_id = t.id ORDER BY h.started_at, h.id LIMIT $2)
  UNION ALL
  (SELECT c.started_at, 3, jsonb_strip_nulls(jsonb_build_object('kind', 'endpoint_call', 'event', c.id,
      'trace', t.correlation_id, 'service', c.service_name, 'method', c.http_method, 'url', ${boundedText('c.endpoint_url', 200)},
      'status_code', c.status_code, 'duration_ms', c.duration_ms, 'error_type', c.error_type))
  FROM tree AS t JOIN ${table('endpoint_calls')} AS c ON c.trace_id = t.id ORDER BY c.started_at, c.id LIMIT $2)
)
SELECT event FROM events ORDER BY started_at, rank, event->>'event' OFFSET $3 LIMIT $4`;

/** What an id means in the live tables or, where it means nothing there, in the archive; [] without an archive. */
async function liveOrArchived<Row extends object>(
  { database }: ToolContext,
  read: (table: (name: ArchivedTable) => string, isTagged: boolean) => Promise<Row[]>,
): Promise<{ rows: Row[]; archived?: true }> {
  const rows = await read((name) => name, true);
  if (rows.length > 0) return { rows };
  const [archive] = await database.read<{ tagged: boolean }>(
    `SELECT ${findsTags('c.oid')} AS tagged FROM pg_class AS c WHERE c.oid = to_regclass('${archiveOf('execution_traces')}')`,
    [],
    toolLimits,
  );
  return archive ? { rows: await read(archiveOf, archive.tagged), archived: true } : { rows };
}

const getTrace: Tool = {
  name: 'get_trace',
  description:
    'One turn with its whole tree in the order of time: traces, routing decisions, tools and hooks, endpoint calls. Long fields are ' +
    'cut; call it again with event and field (and offset) for more of one of them, with after for later events.',
  input: {
    id: {
      type: 'string',
      description:
        'id of any trace of the tree, or the OpenTelemetry trace id of its sender (32 hexadecimal digits)',
    },
    limit: { type: 'integer', description: 'events at most; 1 to 100, default 40' },
    after: { type: 'integer', description: 'leave out so many events at the start' },
    event: { type: 'string', description: 'id of the event whose field is wanted' },
    field: { type: 'string', description: 'which field of it', enum: fieldNames },
    offset: { type: 'integer', description: 'from which character on' },
  },
  async run(context, given) {
    const event = uuidOf(given, 'event');
    if (event !== null) return readField(context, event, given);
    const id = uuidOf(given, 'id');
    if (id === null) throw new ArgumentError('Give id, or event and field.');
    const limit = wholeOf(given, 'limit', { usual: 40, most: 100 });
    const after = wholeOf(given, 'after', { usual: 0, least: 0, most: 100_000 });
    const { rows, archived } = await liveOrArchived(context, (table, isTagged) =>
      context.database.read<{ event: object }>(
        treeStatement(table, isTagged),
        [id, after + limit + 1, after, limit + 1],
        toolLimits,
      ),
    );
    if (rows.length === 0 && after === 0) {
      throw new ArgumentError(
        'There is no such trace, neither live nor archived; list_traces lists them.',
      );
    }
    const events = rows.slice(0, limit).map((row) => row.event);
    const next = rows.length > limit ? { next: { after: after + limit } } : {};
    return { id, ...(archived && rows.length > 0 ? { archived } : {}), events, ...next };
  },
};

async function readField(
  context: ToolContext,
  event: string,
  given: Readonly<Record<string, unknown>>,
): Promise<object> {
  const field = choiceOf(given, 'field', fieldNames);
  if (field === null) throw new ArgumentError(`field is one of ${fieldNames.join(', ')}.`);
  const offset = wholeOf(given, 'offset', { usual: 0, least: 0, most: 1_000_000_000 });
  // Both names come from the list above.
  const column = field === 'hook_error_message' ? 'error_message' : field;
  const { rows } = await liveOrArchived(context, (table) =>
    context.database.read<{ part: string | null; length: number | null }>(
      `SELECT substr(${column}::text, $2::integer + 1, $3) AS part, length(${column}::text) AS length
       FROM ${table(fields[field])} WHERE id = $1`,
      [event, offset, longestPart],
      toolLimits,
    ),
  );
  const [row] = rows;
  if (!row) throw new ArgumentError(`There is no such event with the field ${field}.`);
  const read = offset + (row.part?.length ?? 0);
  const length = row.length ?? 0;
  return {
    event,
    field,
    offset,
    length,
    text: row.part,
    ...(read < length ? { next: { offset: read } } : {}),
  };
}

const sinceHours: Argument = { type: 'integer', description: 'look back so many hours; 1 to 2160' };
const limit: Argument = { type: 'integer', description: 'rows at most; 1 to 50, default 20' };
const rows = { usual: 20, most: 50 };
const week = { usual: 168, most: 2_160 };

/** Texts are searched in so many rows of the time asked for, the newest: more would take too long. */
const searched = 20_000;

const listTraces: Tool = {
  name: 'list_traces',
  description:
    'The newest turns (prompts with all that was done for them), with status, duration, cost and the start of the prompt. ' +
    'get_trace shows one of them whole.',
  input: {
    session_id: { type: 'string', description: 'only of this session' },
    project: { type: 'string', description: 'only of this project' },
    status: {
      type: 'string',
      description: 'only with this status',
      enum: ['in_progress', 'completed', 'failed', 'cancelled', 'timeout'],
    },
    text: { type: 'string', description: 'only prompts that contain this' },
    since_hours: sinceHours,
    limit,
  },
  async run({ database }, given) {
    const traces = await database.read(
      `SELECT correlation_id AS id, session_id, project, status, success, started_at, duration_ms, model, cost_usd,
         ${boundedText('prompt_text', 300)} AS prompt, error_type, ${boundedText('error_message', 200)} AS error_message
       FROM (SELECT * FROM execution_traces
         WHERE started_at >= now() - make_interval(hours => $1) AND correlation_id = root_id
           AND ($2::uuid IS NULL OR session_id = $2) AND ($3::text IS NULL OR project = $3)
           AND ($4::text IS NULL OR status = $4)
         ORDER BY started_at DESC, id LIMIT $6) AS newest
       WHERE $5::text IS NULL OR prompt_text ILIKE $5
       ORDER BY started_at DESC, id LIMIT $7`,
      [
        wholeOf(given, 'since_hours', week),
        uuidOf(given, 'session_id'),
        textOf(given, 'project', 512),
        choiceOf(given, 'status', ['in_progress', 'completed', 'failed', 'cancelled', 'timeout']),
        containing(textOf(given, 'text', 200)),
        searched,
        wholeOf(given, 'limit', rows),
      ],
      toolLimits,
    );
    return { traces };
  },
};

const searchEvents: Tool = {
  name: 'search_events',
  description:
    'Tool calls and hooks, newest first, by tool, file, error or exit code. Without a filter all that failed. ' +
    'Searches the newest 20,000 of the time asked for.',
  input: {
    tool: { type: 'string', description: 'name of the tool, as Bash' },
    file: { type: 'string', description: 'part of a file path' },
    error: { type: 'string', description: 'part of an error type or message' },
    exit_code: { type: 'integer', description: '-255 to 255' },
    since_hours: sinceHours,
    limit,
  },
  async run({ database }, given) {
    const tool = textOf(given, 'tool', 512);
    const file = containing(textOf(given, 'file', 300));
    const error = containing(textOf(given, 'error', 300));
    const exitCode =
      given.exit_code === undefined
        ? null
        : wholeOf(given, 'exit_code', { usual: 0, least: -255, most: 255 });
    const isFiltered = [tool, file, error, exitCode].some((filter) => filter !== null);
    const events = await database.read(
      `SELECT h.id AS event, t.correlation_id AS trace, h.hook_type, h.hook_name, h.tool_name, h.file_path, h.status,
         h.exit_code, h.error_type, ${boundedText('h.error_message', 300)} AS error_message, h.started_at, h.duration_ms,
         ${boundedText('h.input_data::text', 300)} AS input
       FROM (SELECT * FROM hook_executions
         WHERE started_at >= now() - make_interval(hours => $1) AND ($2::text IS NULL OR tool_name = $2)
           AND ($3::boolean OR success = false)
         ORDER BY started_at DESC, id LIMIT $7) AS h
       JOIN execution_traces AS t ON t.id = h.trace_id
       WHERE ($4::text IS NULL OR h.file_path ILIKE $4 OR h.input_data->>'file_path' ILIKE $4)
         AND ($5::text IS NULL OR h.error_type ILIKE $5 OR h.error_message ILIKE $5)
         AND ($6::integer IS NULL OR h.exit_code = $6)
       ORDER BY h.started_at DESC, h.id LIMIT $8`,
      [
        wholeOf(given, 'since_hours', week),
        tool,
        isFiltered,
        file,
        error,
        exitCode,
        searched,
        wholeOf(given, 'limit', rows),
      ],
      toolLimits,
    );
    return { events };
  },
};

const similarPatterns: Tool = {
  name: 'similar_patterns',
  description:
    'What worked before for a prompt like this: agents, tools, success rate with its 95 % interval, expected duration and cost; ' +
    'and a recommendation, or that nothing is known.',
  input: {
    prompt: { type: 'string', description: 'the prompt, up to 4,000 characters' },
    limit: { type: 'integer', description: 'patterns at most; 1 to 20, default 5' },
  },
  async run({ database, embedder }, given) {
    const prompt = textOf(given, 'prompt') ?? '';
    return suggest(database, embedder, prompt, {
      limit: wholeOf(given, 'limit', { usual: 5, most: 20 }),
    });
  },
};

/**
 * By what is counted, and how it is shown. A day is a date as long as it is counted: a text for each trace, which the planner sorts,
 * takes three times as long.
 */
const groups = {
  model: { by: 'model', shown: boundedText(`COALESCE(grouped, 'unknown')`, 200) },
  project: { by: 'project', shown: boundedText(`COALESCE(grouped, 'none')`, 200) },
  day: { by: `(started_at AT TIME ZONE 'UTC')::date`, shown: `to_char(grouped, 'YYYY-MM-DD')` },
  status: { by: 'status', shown: boundedText('grouped', 200) },
} as const;

const usage: Tool = {
  name: 'usage',
  description:
    'Traces, tokens (input_tokens: uncached), costs in US dollars and durations, by model, project, day or status.',
  input: {
    by: { type: 'string', description: 'default model', enum: Object.keys(groups) },
    since_hours: { ...sinceHours, description: 'look back so many hours; 1 to 720, default 24' },
    limit,
  },
  async run({ database }, given) {
    const by = choiceOf(given, 'by', Object.keys(groups) as (keyof typeof groups)[]) ?? 'model';
    const usedBy = await database.read(
      `SELECT ${groups[by].shown} AS "${by}", traces, failed, input_tokens, output_tokens, cache_read_tokens,
         cache_creation_tokens, cost_usd, without_cost, avg_duration_ms
       FROM (SELECT ${groups[by].by} AS grouped, count(*)::int AS traces, count(*) FILTER (WHERE success = false)::int AS failed,
           sum(input_tokens)::float8 AS input_tokens, sum(output_tokens)::float8 AS output_tokens,
           sum(cache_read_tokens)::float8 AS cache_read_tokens, sum(cache_creation_tokens)::float8 AS cache_creation_tokens,
           sum(cost_usd)::float8 AS cost_usd, count(*) FILTER (WHERE cost_usd IS NULL)::int AS without_cost,
           round(avg(duration_ms))::float8 AS avg_duration_ms
         FROM execution_traces WHERE started_at >= now() - make_interval(hours => $1) GROUP BY 1) AS used
       ORDER BY cost_usd DESC NULLS LAST, traces DESC, 1 LIMIT $2`,
      [wholeOf(given, 'since_hours', { usual: 24, most: 720 }), wholeOf(given, 'limit', rows)],
      toolLimits,
    );
    return { by, usage: usedBy };
  },
};

/** So many patterns of errors, the worst, are brought into families: many writers have a row for each agent or hook. */
const mostPatterns = 2_000;

/** What differs between two occurrences, as learning writes it (`<n>`, `<*>`) and as others do (`% s`). */
const family = `regexp_replace(lower(left(error_message_pattern, 500)), '(<[a-z]+>|<[*]>|%)( ?(ms|s|min|h|kb|mb|gb)\\M)?', '%', 'g')`;

/** Of the rows of a family the learned one speaks first: it counts each failure once. */
const first = (column: string, known = column) =>
  `(array_agg(${column} ORDER BY is_learned DESC, last_occurrence_at DESC, id) FILTER (WHERE ${known} IS NOT NULL))[1]`;

const prevention = `to_jsonb(ARRAY(SELECT ${boundedText('p', 200)} FROM unnest(prevention_strategies[:5]) AS p))`;

const knownErrors: Tool = {
  name: 'known_errors',
  description:
    'Errors that recur, the worst first: how often, when last, where, and what got over them with which rate. ' +
    'patterns: how many rows of error_patterns say the same.',
  input: {
    text: { type: 'string', description: 'part of the error type or message' },
    limit,
  },
  async run({ database }, given) {
    const errors = await database.read(
      `WITH known AS (
         SELECT worst.*, fingerprint LIKE 'learned:%' AS is_learned, ${family} AS family FROM (SELECT * FROM error_patterns
         WHERE $1::text IS NULL OR error_type ILIKE $1 OR error_message_pattern ILIKE $1
         ORDER BY resolved_at IS NOT NULL, array_position('{critical,high,medium,low}'::text[], severity),
           occurrence_count DESC, id LIMIT ${mostPatterns}) AS worst),
       families AS (
         SELECT error_type, ${first('error_category')} AS error_category, ${first('error_message_pattern')} AS message,
           ${first('severity')} AS severity, COALESCE((array_agg(to_jsonb(tags[2:6])) FILTER (WHERE is_learned))[1], to_jsonb((array_agg(DISTINCT left(agent_name, 100)) FILTER (WHERE agent_name <> ''))[:5])) AS agents,
           ${first('hook_type')} AS hook_type, ${first('endpoint_url')} AS endpoint_url,
           COALESCE(sum(occurrence_count) FILTER (WHERE is_learned), sum(occurrence_count))::float8 AS occurrence_count,
           min(first_occurrence_at) AS first_occurrence_at, max(last_occurrence_at) AS last_occurrence_at,
           ${first('resolution_pattern')} AS got_over_by,
           ${first('resolution_success_rate', 'resolution_pattern')} AS resolution_success_rate,
           (array_agg(DISTINCT left(resolution_pattern, 300)) FILTER (WHERE NOT is_learned AND resolution_pattern <> ''))[:3] AS advice,
           ${first(prevention, `NULLIF(prevention_strategies, '{}')`)} AS prevention, count(*)::int AS patterns,
           CASE WHEN bool_and(resolved_at IS NOT NULL) THEN max(resolved_at) END AS resolved_at, min(id::text) AS id
         FROM known GROUP BY error_type, family)
       SELECT ${boundedText('error_type', 200)} AS error_type, ${boundedText('error_category', 100)} AS error_category,
         ${boundedText('message', 300)} AS message, severity, agents, hook_type, ${boundedText('endpoint_url', 200)} AS endpoint_url,
         occurrence_count, first_occurrence_at, last_occurrence_at, ${boundedText('got_over_by', 300)} AS got_over_by,
         resolution_success_rate, advice, prevention, patterns, resolved_at
       FROM families
       ORDER BY resolved_at IS NOT NULL, array_position('{critical,high,medium,low}'::text[], severity),
         occurrence_count DESC, id LIMIT $2`,
      [containing(textOf(given, 'text', 200)), wholeOf(given, 'limit', rows)],
      toolLimits,
    );
    return { errors };
  },
};

export const tools: readonly Tool[] = [
  listTraces,
  getTrace,
  searchEvents,
  similarPatterns,
  usage,
  knownErrors,
];
