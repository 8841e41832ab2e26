import { beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../src/db/database.js';
import type { DetailAccess, Opened, RecordRow } from '../../src/panes/contract/opening.js';
import { linkOf } from '../../src/panes/links.js';
import { tableOpening, tableSizes } from '../../src/panes/table-sizes.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { detailAccess, openDatabase, readFresh } from './open.js';

let test: TestDatabase;
let ids: Record<string, string>;

beforeAll(async () => {
  test = await createTestDatabase();
  const { rows } = await test.query<Record<string, string>>(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, project, model, status, error_type, prompt_text, started_at)
       SELECT id, id, gen_random_uuid(), 'user_prompt', 'billing', 'a-model', 'failed', 'Refused', 'pay the bill', now()
       FROM (SELECT gen_random_uuid() AS id) AS made RETURNING *),
     decision AS (
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
       SELECT id, 'agent-pays', 0.9, 'explicit' FROM trace),
     hook AS (
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, started_at)
       SELECT id, 'PreToolUse', 'guard', 'Bash', 'failed', now() FROM trace RETURNING id),
     call AS (
       INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, success, started_at, context)
       SELECT id, 'bank', 'https://bank/pay', 'POST', false, now(), '{"model": "a-model"}' FROM trace),
     pattern AS (
       INSERT INTO success_patterns (pattern_hash, prompt_text, intent_classification)
       VALUES ('hash', 'pay the bill', 'pay') RETURNING id)
     SELECT trace.id AS trace, trace.correlation_id AS correlation, trace.session_id AS session, hook.id AS hook,
       pattern.id AS pattern, pg_backend_pid()::text AS pid
     FROM trace, hook, pattern`,
  );
  ids = rows[0] ?? {};
});

/** Everything that is shown of what was opened; the events of a trace know what they are below. */
const shown = (opened: Opened): string =>
  JSON.stringify(opened, (name, value: unknown) => (name === 'parent' ? undefined : value));

type Given = { name: string; value: (ids: Record<string, string>) => string; row?: RecordRow };

const links: readonly (Given & { shows: string })[] = [
  { name: 'trace_id', value: ({ trace }) => trace ?? '', shows: 'pay the bill' },
  { name: 'correlation_id', value: ({ correlation }) => correlation ?? '', shows: 'pay the bill' },
  { name: 'exampleTraceIds', value: ({ trace }) => trace ?? '', shows: 'pay the bill' },
  { name: 'session_id', value: ({ session }) => session ?? '', shows: 'pay the bill' },
  { name: 'pattern_id', value: ({ pattern }) => pattern ?? '', shows: 'pay the bill' },
  { name: 'hook_execution_id', value: ({ hook }) => hook ?? '', shows: 'guard' },
  { name: 'agent_selected', value: () => 'agent-pays', shows: 'pay the bill' },
  { name: 'agentSequence', value: () => 'agent-pays', shows: 'pay the bill' },
  { name: 'agent', value: () => 'agent-pays', shows: 'pay the bill' },
  { name: 'hook_name', value: () => 'guard', row: { tool_name: 'Bash' }, shows: 'PreToolUse' },
  { name: 'tool_name', value: () => 'Bash', shows: 'pay the bill' },
  {
    name: 'service_name',
    value: () => 'bank',
    row: { http_method: 'POST', endpoint_url: 'https://bank/pay' },
    shows: 'POST',
  },
  { name: 'error_type', value: () => 'Refused', shows: 'Refused' },
  { name: 'project', value: () => 'billing', shows: 'pay the bill' },
  { name: 'model', value: () => 'a-model', shows: 'pay the bill' },
];

describe('Enter on what has an id or a name', () => {
  let database: Database;
  let access: DetailAccess;

  async function follow(given: Given): Promise<Opened> {
    database = await openDatabase(test.url);
    access = await detailAccess(database);
    const opening = linkOf(given.name, given.value(ids), given.row ?? {});
    if (!opening) throw new Error(`${given.name} leads nowhere`);
    return opening.read(access);
  }

  it.each(links)('leads from $name to what it names', async ({ shows, ...given }) => {
    expect(shown(await follow(given))).toContain(shows);
  });

  it('leads from a pid to the backend', async () => {
    const own = await follow({ name: 'blocked_by', value: ({ pid }) => pid ?? '' });
    expect(own.kind).toBe('records');
    expect(shown(own)).toContain(ids.pid);
  });

  it('leads from a table to each of its indexes', async () => {
    database = await openDatabase(test.url);
    access = await detailAccess(database);
    const { rows } = await readFresh(database, tableSizes);
    const table = rows.find((row) => row.table === 'success_patterns');
    if (!table) throw new Error('no such table');
    const opened = await tableOpening(table).read(access);
    if (opened.kind !== 'records') throw new Error(opened.kind);
    const section = opened.sections?.find(({ title }) => title.startsWith('Indexes'));
    const at = section?.lines.findIndex((line) => line[0]?.text.trim() === 'idx_pattern_intent');
    const index = await section?.open?.(at ?? -1)?.read(access);
    expect(index && shown(index)).toContain('CREATE INDEX idx_pattern_intent');
  });

  it.each([
    ['trace_id', 'no id'],
    ['blocked_by', '12; DROP'],
    ['unheard_of', 'x'],
    ['__proto__', 'x'],
    ['agent_selected', ''],
  ])('nothing is led to from %s: %s', (name, value) => {
    expect(linkOf(name, value, {})).toBeUndefined();
  });
});
