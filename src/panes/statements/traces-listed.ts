import { columnOrNull, type SchemaShape } from '../shape.js';
import { within } from './window.js';

export const mostTracesListed = 200;

/** Which traces. Those of a session and those found by their id may be of any time, the others are of the window. */
export type TracesOf =
  | { by: 'status'; status: string }
  | { by: 'agent'; agent: string }
  | { by: 'session'; sessionId: string }
  /** The correlation id begins with these hexadecimal digits. */
  | { by: 'prefix'; digits: string }
  /** The prompt has this text, whatever the case. */
  | { by: 'prompt'; text: string };

/** A text is looked for in so many prompts at most, the newest of the window: no index has their words. */
export const mostPromptsSearched = 20_000;

export type ListedTraceRow = {
  now_ms: number;
  id: string;
  session_id: string | null;
  correlation_id: string | null;
  started_at: Date | null;
  status: string | null;
  duration_ms: number | null;
  source: string | null;
  project: string | null;
  error_type: string | null;
  text: string | null;
};

/**
 * The newest traces of one kind. `$1`: what they have in common, `$2`: how many at most, `$3`, `$4`: window
 * (unused for a session or an id). Each is read from the new end of an index by time until enough are found. Texts
 * are cut: a prompt may be a megabyte.
 */
export function tracesListedStatement(shape: SchemaShape, { by }: TracesOf): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'execution_traces', column, type);
  return `
SELECT
  date_part('epoch', now()) * 1000 AS now_ms,
  id,
  ${optional('session_id', 'uuid')} AS session_id,
  ${optional('correlation_id', 'uuid')} AS correlation_id,
  started_at,
  status,
  ${optional('duration_ms', 'bigint')} AS duration_ms,
  ${optional('source', 'text')} AS source,
  ${optional('project', 'text')} AS project,
  ${optional('error_type', 'text')} AS error_type,
  left(COALESCE(${optional('error_message', 'text')}, ${optional('prompt_text', 'text')}), 300) AS text
FROM execution_traces
WHERE ${conditionOf(by)}
ORDER BY started_at DESC
LIMIT $2`;
}

const inWindow = (at: string) => within(at, '$3', '$4');
/** Gives the parameters of the window their types where they are not used. */
const ofAnyTime = '($3::float8 IS NOT NULL OR $4::float8 IS NOT NULL)';

function conditionOf(by: TracesOf['by']): string {
  switch (by) {
    case 'session':
      return `session_id = $1::uuid AND ${ofAnyTime}`;
    case 'prefix':
      return `correlation_id >= rpad($1, 32, '0')::uuid AND correlation_id <= rpad($1, 32, 'f')::uuid AND ${ofAnyTime}`;
    case 'prompt':
      return `id IN (
  SELECT id FROM (
    SELECT id, prompt_text FROM execution_traces WHERE ${inWindow('started_at')}
    ORDER BY started_at DESC LIMIT ${mostPromptsSearched}) AS newest
  WHERE prompt_text ILIKE $1)`;
    case 'status':
      return `${inWindow('started_at')} AND status = $1`;
    case 'agent':
      return `id IN (
  SELECT trace_id FROM agent_routing_decisions
  WHERE agent_selected = $1 AND ${inWindow('created_at')}
  ORDER BY created_at DESC LIMIT $2)`;
  }
}
