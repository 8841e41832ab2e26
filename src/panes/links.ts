import { byOwnKey, readNumber } from '../core/values.js';
import { agents } from './agents.js';
import type { Opening, RecordRow } from './contract/opening.js';
import { rowOpening } from './contract/pane.js';
import { endpoints } from './endpoints.js';
import { errors } from './errors.js';
import { models } from './models.js';
import { backendOpening } from './postgresql.js';
import { patternOpening } from './reading/pattern.js';
import { recordOpening } from './reading/record.js';
import { slowHooks } from './slow-hooks.js';
import { traceOpening } from './trace/trace-opening.js';
import { tracesOpening } from './trace/traces-listed.js';
import { usage } from './usage.js';

/** What a value leads to, by the name that it stands under: what it is the id or the name of. */
type Link = (value: string, row: RecordRow) => Opening | undefined;

const uuid = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;
/** Longer texts are not treated as names. */
const longestName = 512;

const withId =
  (link: (id: string) => Opening): Link =>
  (value) =>
    uuid.test(value) ? link(value) : undefined;

const trace = withId((id) => traceOpening(id));
const agent: Link = (name) => rowOpening(agents, { agent: name });
const backend: Link = (pid) =>
  /^[1-9]\d{0,9}$/.test(pid) ? backendOpening({ pid: readNumber(pid) }) : undefined;

/** A text of the same row. */
function textOf(row: RecordRow, name: string): string | null {
  const value = byOwnKey(row, name);
  return typeof value === 'string' ? value : null;
}

const links: ReadonlyMap<string, Link> = new Map<string, Link>([
  ...[
    ...['trace_id', 'root_id', 'parent_id', 'parent_trace_id', 'example_trace_ids'],
    ...['correlation_id', 'source_correlation_id', 'trace_correlation_id', 'parent_correlation_id'],
  ].map((name) => [name, trace] as const),
  [
    'session_id',
    withId((id) => {
      const digits = id.replaceAll('-', '').toLowerCase();
      return tracesOpening(`Session ${id}`, { by: 'session', digits });
    }),
  ],
  ['pattern_id', withId((id) => patternOpening(`Pattern ${id}`, id))],
  ['hook_execution_id', withId((id) => recordOpening('hook', 'hook_executions', id))],
  ...['agent_selected', 'agent_name', 'agent_sequence', 'primary_agent'].map(
    (name) => [name, agent] as const,
  ),
  // The program of a session, or an agent.
  ['agent', (group) => rowOpening(usage, { group, grouping: 'agent' })],
  ['hook_name', (hook, row) => rowOpening(slowHooks, { hook, tool: textOf(row, 'tool_name') })],
  [
    'tool_name',
    (tool) =>
      tool.includes('"')
        ? undefined
        : tracesOpening(`Traces with ${tool}`, { by: 'all' }, { filter: `tool="${tool}"` }),
  ],
  [
    'service_name',
    (service, row) =>
      rowOpening(endpoints, {
        service,
        method: textOf(row, 'http_method'),
        url: textOf(row, 'endpoint_url'),
      }),
  ],
  ['error_type', (type) => rowOpening(errors, { type })],
  ['project', (project) => tracesOpening(`Traces of ${project}`, { by: 'project', project })],
  ['model', (model) => rowOpening(models, { model })],
  ['pid', backend],
  ['backend_pid', backend],
  ['blocked_by', backend],
]);

/**
 * What Enter on a value of a record opens: the trace of an id, the traces of a session or an agent, the calls of a hook,
 * the failures of an error, a pattern, a backend.
 *
 * @param name of the column, or of the member of its JSON; of an item of a list, that of the list
 */
export function linkOf(name: string, value: unknown, row: RecordRow): Opening | undefined {
  const isName = typeof value === 'string' && value.length > 0 && value.length <= longestName;
  if (!isName && typeof value !== 'number') return undefined;
  const snake = name.replaceAll(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();
  return links.get(snake)?.(String(value), row);
}
