import { readNumber } from '../../core/values.js';
import { chooseLonger } from '../contract/pane.js';
import { isStopWord, requestText, wordsOf } from '../../learning/text/prompt-text.js';
import { probesComparing } from '../../core/vector-lists.js';
import { ConsoleError } from '../../db/errors.js';
import { formatCount } from '../../core/format/number.js';
import {
  ageColumn,
  countColumn,
  failureTone,
  shareColumn,
  textColumn,
  type Column,
} from '../contract/column.js';
import { firstPage, pagedList, readPage, windowText, type ListQuery } from '../contract/listing.js';
import { erasedList, type DetailAccess, type Opening } from '../contract/opening.js';
import { columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';
import { within } from '../reading/windows.js';
import { tracesOpening } from './traces-listed.js';
import {
  promptGroupOf,
  mostPromptsSearched,
  type PromptGrouping,
  type TracesOf,
} from './traces-query.js';
import { boundedText } from '../../db/quote.js';

/** Prompts that have something in common, of the window. */
export type PromptGroup = {
  id: string;
  /** Null: they have no such value. */
  group: string | null;
  prompts: number;
  failures: number;
  rate: number;
  last: Date;
  /** The newest of them, a failed one where there is one; its error. */
  example: string | null;
  error: string | null;
};

export const promptColumns: readonly Column<PromptGroup>[] = [
  textColumn({
    id: 'group',
    title: 'group',
    value: ({ group }) => group ?? 'unknown',
    tone: ({ group }) => (group === null ? 'muted' : undefined),
    priority: 1,
    minWidth: 16,
    maxWidth: 44,
  }),
  countColumn({ id: 'prompts', title: 'prompts', value: ({ prompts }) => prompts, priority: 2 }),
  countColumn({
    id: 'failures',
    title: 'failed',
    value: ({ failures }) => failures,
    tone: ({ failures, prompts }) => failureTone(failures, prompts),
    priority: 1,
  }),
  shareColumn({ id: 'rate', title: 'rate', value: ({ rate }) => rate, priority: 1 }),
  ageColumn({ id: 'last', title: 'last', value: ({ last }) => last, priority: 4 }),
  textColumn({
    id: 'error',
    title: 'its error',
    value: ({ error }) => error,
    tone: () => 'error',
    priority: 3,
    minWidth: 14,
    maxWidth: 36,
  }),
  textColumn({
    id: 'example',
    title: 'newest prompt',
    value: ({ example }) => example,
    tone: () => 'muted',
    priority: 2,
    minWidth: 14,
  }),
];

/**
 * Groups of the newest prompts of the window: by idx_execution_traces_started_at, at most 20,000 of them. The rate by which
 * they are ordered is the least that is certain (Wilson, 95 %); one or two prompts are no group, and stand behind those that
 * are. Most prompts are asked once: each that failed would stand before a group of twenty with five failures.
 */
export function groupsQuery(shape: SchemaShape, grouping: PromptGrouping): ListQuery<PromptGroup> {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'execution_traces', column, type);
  const prompt = optional('prompt_text', 'text');
  const error = `concat_ws(': ', ${boundedText(optional('error_type', 'text'), 200)}, ${boundedText(optional('error_message', 'text'), 200)})`;
  return {
    text: `
SELECT md5(COALESCE(grouped, ''))::uuid AS id, grouped, prompts, failures, failures > 0 AS failed, last_at, example, error,
  CASE WHEN failures > 0 AND prompts >= 3 THEN 1 ELSE 0 END
    + (failures + 1.92 - 1.96 * sqrt(failures::float8 * (prompts - failures) / prompts + 0.96)) / (prompts + 3.84) AS certain
FROM (
  SELECT grouped, count(*)::int AS prompts, (count(*) FILTER (WHERE failed))::int AS failures, max(started_at) AS last_at,
    (array_agg(prompt ORDER BY failed DESC, started_at DESC))[1] AS example,
    (array_agg(error ORDER BY started_at DESC) FILTER (WHERE failed))[1] AS error
  FROM (
    SELECT ${promptGroupOf(shape, grouping, 'execution_traces')} AS grouped, status IN ('failed', 'timeout') AS failed,
      started_at, ${boundedText(prompt, 300)} AS prompt, ${error} AS error
    FROM execution_traces
    WHERE ${within('started_at', '$1', '$2')} AND ${prompt} IS NOT NULL
    ORDER BY started_at DESC LIMIT ${mostPromptsSearched}) AS newest
  GROUP BY grouped) AS groups`,
    values: [],
    fields: [
      { id: 'group', title: 'group', format: 'text', sql: 'listed.grouped' },
      { id: 'prompts', title: 'prompts', format: 'count', sql: 'listed.prompts' },
      { id: 'failures', title: 'failed', format: 'count', sql: 'listed.failures' },
      {
        id: 'rate',
        title: 'rate',
        format: 'share',
        sql: 'listed.failures::float8 / listed.prompts',
      },
      { id: 'error', title: 'error', format: 'text', sql: 'listed.error' },
      { id: 'example', title: 'example', format: 'text', sql: 'listed.example' },
    ],
    orders: [
      { id: 'certain', title: 'failing most', sql: 'listed.certain::float8', type: 'float8' },
      { id: 'failures', title: 'most failures', sql: 'listed.failures::float8', type: 'float8' },
      { id: 'prompts', title: 'most prompts', sql: 'listed.prompts::float8', type: 'float8' },
      { id: 'last', title: 'newest', sql: 'listed.last_at', type: 'timestamptz' },
    ],
    failed: 'listed.failed',
    rowOf(row) {
      const [prompts, failures] = [
        readNumber(String(row.prompts)),
        readNumber(String(row.failures)),
      ];
      return {
        id: String(row.id),
        group: row.grouped as string | null,
        prompts,
        failures,
        rate: failures / prompts,
        last: row.last_at as Date,
        example: row.example as string | null,
        error: row.error as string | null,
      };
    },
  };
}

/** Which prompts lead to failure; Enter on a group lists its traces, those that failed first to be chosen with `f`. */
export function promptsOpening(grouping: PromptGrouping): Opening {
  const title = grouping === 'similar' ? 'Similar prompts' : `Prompts by ${grouping}`;
  return {
    title,
    async read(access) {
      const { shape, windowMs, untilMs, list = firstPage } = access;
      const query = groupsQuery(shape, grouping);
      const page = await readPage(access, query, list);
      const place = `groups of at most the newest ${formatCount(mostPromptsSearched)} prompts ${windowText(windowMs, untilMs)}`;
      return erasedList<PromptGroup>({
        kind: 'list',
        title,
        columns: promptColumns,
        rows: page.rows,
        rowKey: ({ id }) => id,
        ...pagedList(query, list, page, place),
        empty: `There is no prompt in this window. ${chooseLonger}`,
        asOf: new Date(untilMs ?? page.nowMs ?? Date.now()),
        open: ({ group, failures }) =>
          tracesOpening(
            `Prompts: ${group ?? `no ${grouping}`}`,
            { by: 'prompts', grouping, group },
            { failedOnly: failures > 0 },
          ),
        copy: ({ example, group }) => example ?? group ?? '',
      });
    },
  };
}

/** Of a prompt so many words are looked for, and of neighbours by embedding so many are shown. */
const mostWords = 12;
const mostNeighbours = 200;

/** Traces whose prompts are like that of a trace: by the embedding of its routing where there is one, by words else. */
export function likeOpening(id: string): Opening {
  const title = 'Traces like this one';
  let chosen: Likeness | undefined;
  return {
    title,
    async read(access) {
      chosen ??= await likenessOf(access, id);
      const how = chosen.by === 'nearest' ? 'by embedding' : `by words: ${chosen.words.join(' ')}`;
      return tracesOpening(`${title}, ${how}`, chosen).read(access);
    },
  };
}

/** Nobody knows which index the planner will take. Of several: the most lists and the fewest rows, so that enough lists are searched. */
const vectorIndexStatement = `
SELECT max(COALESCE(substring(option FROM '^lists=(\\d+)$')::integer, 100)) AS lists, min(c.reltuples)::float8 AS rows
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_am AS am ON am.oid = c.relam AND am.amname = 'ivfflat'
LEFT JOIN LATERAL unnest(c.reloptions) AS option ON option LIKE 'lists=%'
WHERE i.indrelid = 'agent_routing_decisions'::regclass AND i.indisvalid`;

/** One list of ivfflat is searched by default, which finds few of the nearest. */
async function searchSettings(read: DetailAccess['read']): Promise<Record<string, string>> {
  const [index] = await read<{ lists: number | null; rows: number | null }>(
    vectorIndexStatement,
    [],
  );
  if (!index?.lists) return {};
  return { 'ivfflat.probes': String(probesComparing(index.lists, index.rows ?? 0)) };
}

type Likeness = Extract<TracesOf, { by: 'nearest' | 'words' }>;

/**
 * Which traces are like one.
 *
 * @param id of the trace's row
 * @throws ConsoleError `not_found` for a trace that has neither an embedding nor a prompt
 */
export async function likenessOf(
  { read, shape }: Pick<DetailAccess, 'read' | 'shape'>,
  id: string,
): Promise<Likeness> {
  if (hasColumn(shape, 'agent_routing_decisions', 'query_embedding')) {
    const [own] = await read<{ embedding: string }>(
      `SELECT query_embedding::text AS embedding FROM agent_routing_decisions
WHERE trace_id = $1::uuid AND query_embedding IS NOT NULL ORDER BY created_at DESC LIMIT 1`,
      [id],
    );
    if (own) {
      const near = await read<{ id: string; alike: number }>(
        `SELECT trace_id AS id, 1 - (query_embedding <=> $1::vector) AS alike FROM agent_routing_decisions
WHERE query_embedding IS NOT NULL ORDER BY query_embedding <=> $1::vector LIMIT ${mostNeighbours}`,
        [own.embedding],
        await searchSettings(read),
      );
      const others = near.filter((row, at) => {
        const isFirst = near.findIndex((each) => each.id === row.id) === at;
        return isFirst && row.id !== id && Number.isFinite(row.alike);
      });
      if (others.length > 0) {
        const [ids, alike] = [others.map((row) => row.id), others.map((row) => row.alike)];
        return { by: 'nearest' as const, ids, alike };
      }
    }
  }
  const prompt = columnOrNull(shape, 'execution_traces', 'prompt_text', 'text');
  const [trace] = await read<{ prompt: string | null }>(
    `SELECT left(${prompt}, 2000) AS prompt FROM execution_traces WHERE id = $1::uuid`,
    [id],
  );
  const words = wordsOf(requestText(trace?.prompt ?? '')).filter((word) => !isStopWord(word));
  const telling = [...new Set(words)].slice(0, mostWords);
  if (telling.length > 0) return { by: 'words' as const, words: telling, not: id };
  throw new ConsoleError('not_found', 'This trace has no prompt that others could be like.', {
    hint: 'A trace of a subagent or of a hook often has none; try the one that it belongs to.',
  });
}
