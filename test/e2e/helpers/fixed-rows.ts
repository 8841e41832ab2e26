import { archivedTables, archiveOf } from '../../../src/core/tables.js';
import { consoleFiles } from '../../../src/deploy/schema-files.js';
import { addSessions } from './console-rows.js';
import { cutMarks } from './screen-problems.js';
import type { TestDatabase } from '../../helpers/database.js';

/** A name that nowhere has room. */
const long = (name: string) =>
  `${cutMarks.start}${name}-${'and-so-on-'.repeat(8)}${cutMarks.end.slice(1)}`;

/**
 * Fills a database with rows for every pane, with the same ids and, as seen from a moment, the same times: so the rows
 * of a recording are there again, and what they open looks the same in every run.
 */
export async function fillAt(database: TestDatabase, now: Date): Promise<void> {
  const at = `timestamptz '${now.toISOString()}'`;
  // Old rows first: what is archived is the oldest.
  await database.query(`
    INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source, status, started_at, completed_at)
    SELECT id, id, id, id, 'user_prompt', 'completed', ${at} - interval '200 days' - n * interval '1 min', ${at} - interval '200 days'
    FROM (SELECT n, md5('old' || n)::uuid AS id FROM generate_series(1, 8) AS n) AS made;
    INSERT INTO hook_executions (id, trace_id, hook_type, hook_name, tool_name, status, started_at, duration_ms)
    SELECT md5('old hook' || t.id)::uuid, t.id, 'PreToolUse', 'policy-guard', 'Edit', 'completed', t.started_at, 40 FROM execution_traces AS t;
    SELECT archive_traces('150 days', 5)`);
  await database.query(traces(at, 12, 'completed') + traces(at, 3, 'failed'));
  await database.query(`
    UPDATE execution_traces SET prompt_text = '${long('prompt')}', error_type = '${long('error')}', error_message = '${long('message')}'
    WHERE status = 'failed';
    UPDATE execution_traces SET model = CASE status WHEN 'failed' THEN 'small' ELSE '${long('model')}' END, provider = 'somebody',
      project = 'shop', input_tokens = 1200, output_tokens = 300, cost_usd = 0.01;
    UPDATE hook_executions SET hook_name = '${long('hook')}', status = 'failed', error_type = 'Denied', error_message = '${long('refusal')}'
    WHERE tool_name = 'Bash';
    UPDATE endpoint_calls SET service_name = '${long('service')}' WHERE trace_id IN (SELECT id FROM execution_traces WHERE status = 'completed');
    UPDATE agent_routing_decisions SET agent_selected = '${long('agent')}', actual_success = true,
      confidence_breakdown = '{"${long('part')}": 0.4}', alternatives = '[{"agent": "${long('other')}", "confidence": 0.3}]'
    WHERE trace_id IN (SELECT id FROM execution_traces WHERE status = 'completed');
    INSERT INTO success_patterns (id, pattern_hash, intent_classification, prompt_text, prompt_embedding, success_count, failure_count, total_usage_count, last_used_at)
    SELECT md5('pattern' || n)::uuid, 'hash ' || n, CASE n WHEN 3 THEN 'poor' ELSE '${long('intent')}' END, '${long('asked')}',
      array_fill(n::real, ARRAY[1536])::vector, 4 - n, n, 4, ${at} - n * interval '5 min' - CASE n WHEN 3 THEN interval '60 days' ELSE '0' END
    FROM generate_series(1, 3) AS n;
    INSERT INTO pattern_usage_log (id, pattern_id, used_at, outcome)
    SELECT md5('use' || n)::uuid, md5('pattern1')::uuid, ${at} - n * interval '5 min', 'success' FROM generate_series(1, 3) AS n;
    INSERT INTO agent_chaining_patterns (id, chain_hash, primary_agent, agent_sequence, occurrence_count, success_count, first_seen_at, last_used_at)
    SELECT md5('chain' || n)::uuid, 'chain ' || n, '${long('first')}', ARRAY['${long('first')}', '${long('second')}'], n, n - 1, ${at} - interval '2 days', ${at} - n * interval '5 min'
    FROM generate_series(1, 3) AS n;
    INSERT INTO error_patterns (id, fingerprint, error_type, error_message_pattern, occurrence_count, first_occurrence_at, last_occurrence_at)
    VALUES (md5('error')::uuid, 'f', '${long('error')}', '${long('message')}', 3, ${at} - interval '1 day', ${at} - interval '3 min');
    CREATE INDEX idx_error_type_ccnew ON error_patterns (error_type);
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_error_type_ccnew'::regclass`);
  await addSessions(database, long('project'));
  await database.query(consoleFiles.find(({ name }) => name.startsWith('002'))?.sql ?? '');
  await database.query(`
    INSERT INTO trace_console.maintenance_runs (target_schema, action, title, subject, input, state, started_at, ended_at, heartbeat_at,
      lease_until, client_user, client_host, client_pid, client_address, application, console_version, backend_pid, result, summary)
    SELECT 'public', 'archive-traces', 'Archive traces', 'older than 150 days', '{"olderThan": "150 days"}', 'done',
      ${at} - n * interval '1 day', ${at} - n * interval '1 day' + interval '4 s', ${at}, ${at}, 'somebody', 'host', 1, NULL, 'trace-console', '0.1.0', 1,
      '{"moved": 5}', '5 trees moved'
    FROM generate_series(1, 2) AS n`);
  // What has made itself a time or an id.
  await database.query(`
    SET session_replication_role = replica;
    UPDATE trace_console.agent_sessions AS s SET started_at = t.at, last_seen_at = ${at} - interval '10 s', session = s.session_id::text,
      activity = jsonb_set(activity, '{at}', to_jsonb(1000 * date_part('epoch', ${at} - interval '10 s')))
    FROM (SELECT session_id, min(started_at) AS at FROM execution_traces GROUP BY session_id) AS t WHERE t.session_id = s.session_id;
    ${archivedTables
      .map(
        (table) =>
          `UPDATE ${archiveOf(table)} SET archived_at = ${at} - interval '1 day', created_at = ${at} - interval '200 days', updated_at = ${at} - interval '200 days';
           UPDATE ${table} SET created_at = ${table === 'agent_routing_decisions' ? 'created_at' : 'started_at'}, updated_at = ${at} - interval '1 min';`,
      )
      .join('\n')}
    UPDATE success_patterns SET created_at = ${at} - interval '2 days', updated_at = ${at} - interval '5 min';
    UPDATE agent_chaining_patterns SET created_at = ${at} - interval '2 days', updated_at = ${at} - interval '5 min';
    UPDATE error_patterns SET created_at = ${at} - interval '2 days', updated_at = ${at} - interval '5 min';
    RESET session_replication_role;
    ANALYZE`);
}

/** Per trace a routing decision, two hooks and a call. */
function traces(at: string, count: number, status: string): string {
  return `
  WITH trace AS (
    INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source, prompt_text, status, started_at, completed_at)
    SELECT id, id, id, id, 'user_prompt', 'prompt number ' || n, '${status}', at, at + n * interval '700 ms'
    FROM (SELECT n, md5('${status}' || n)::uuid AS id, ${at} - n * interval '2 min' - interval '30 s' AS at
          FROM generate_series(1, ${count}) AS n) AS made
    RETURNING id, started_at),
  decision AS (
    INSERT INTO agent_routing_decisions (id, trace_id, agent_selected, confidence_score, routing_strategy, decision_duration_ms, created_at)
    SELECT md5('decision' || id)::uuid, id, 'agent-test-writer', 0.8, 'explicit', 12, started_at FROM trace),
  call AS (
    INSERT INTO endpoint_calls (id, trace_id, service_name, endpoint_url, http_method, status_code, started_at, completed_at, duration_ms)
    SELECT md5('call' || id)::uuid, id, 'embedding-service', 'http://service/', 'POST', 200, started_at + interval '90 ms', started_at + interval '120 ms', 30 FROM trace)
  INSERT INTO hook_executions (id, trace_id, hook_type, hook_name, tool_name, execution_order, status, started_at, completed_at, duration_ms)
  SELECT md5(tool || id)::uuid, id, 'PreToolUse', 'policy-guard', tool, n, 'completed', started_at + n * interval '150 ms',
    started_at + n * interval '190 ms', 40 * n
  FROM trace, unnest(ARRAY['Edit', 'Bash']) WITH ORDINALITY AS used (tool, n);`;
}
