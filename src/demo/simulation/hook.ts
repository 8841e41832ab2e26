import { cut, type Run } from './tree.js';
import type { Random } from '../random.js';
import type { HookRow } from '../rows.js';
import { hooksFor, type Hook } from '../vocabulary/hooks.js';
import { services } from '../vocabulary/services.js';
import { callService, noteError } from './call.js';
import { sleep, type Process } from './scheduler.js';

/** What a hook is told about the tool that it runs before or after. */
export type ToolUse = { name: string; id: string; file: string | null };

/** Agent CLIs give a hook so long, ms. */
const timeLimit = 10_000;

/** Runs the hooks of one event, one after the other; gives their rows. */
export function* runHooks(run: Run, type: string, tool: ToolUse | null = null): Process<HookRow[]> {
  const rows: HookRow[] = [];
  for (const hook of hooksFor(type, tool?.name ?? null)) {
    if (run.tree.random.chance(hook.share)) rows.push(yield* runHook(run, hook, tool));
  }
  return rows;
}

function* runHook(run: Run, hook: Hook, tool: ToolUse | null): Process<HookRow> {
  const { random, clock, world, recorder } = run.tree;
  const row = startHook(run, hook, tool);
  recorder.put('hook_executions', row);

  if (hook.does === 'rag' && random.chance(0.7)) yield* askKnowledge(run, row);
  if (hook.does === 'quality' && random.chance(0.6)) {
    yield* callService(run, services.intelligence, { hookId: row.id });
  }
  const slowdown = world.incidents.hookSlowdown(hook.name, clock.now);
  // One in two hundred finds a cold cache or a busy machine.
  const tail = random.chance(0.005) ? random.between(8, 30) : 1;
  const own = random.logNormal(hook.medianMs, hook.sigma) * slowdown * tail;
  const left = row.started_at + timeLimit - clock.now;
  yield sleep(Math.max(1, Math.min(own, left)));

  finishHook(run, hook, row, own > left);
  recorder.put('hook_executions', row);
  return row;
}

function startHook(run: Run, hook: Hook, tool: ToolUse | null): HookRow {
  const { random, clock } = run.tree;
  run.hooks += 1;
  return {
    id: random.uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    trace_id: run.trace.id,
    hook_type: hook.type,
    hook_name: hook.name,
    execution_order: run.hooks,
    tool_name: tool?.name ?? null,
    tool_use_id: tool?.id ?? null,
    agent_id: run.depth > 0 ? run.agent.name : null,
    file_path: tool?.file ?? null,
    status: 'in_progress',
    started_at: clock.now,
    completed_at: null,
    duration_ms: null,
    exit_code: null,
    decision: null,
    input_data: tool ? { tool_name: tool.name, tool_input: { file_path: tool.file } } : null,
    output_data: null,
    modifications_made: null,
    rag_query_performed: false,
    rag_results: null,
    quality_check_performed: false,
    quality_results: null,
    error_type: null,
    error_message: null,
    error_stack: null,
    metadata: { cli: 'claude-code' },
  };
}

function* askKnowledge(run: Run, row: HookRow): Process {
  const { random } = run.tree;
  row.rag_query_performed = true;
  yield* callService(run, services.embeddings, { hookId: row.id });
  const trouble = yield* callService(run, services.rag, {
    hookId: row.id,
    request: { query: cut(run.trace.prompt_text, 120), match_count: 5 },
  });
  row.rag_results = trouble
    ? { matches: 0, error: trouble.errorType }
    : { matches: random.integer(1, 5), top_score: Math.round(random.between(60, 97)) / 100 };
}

function finishHook(run: Run, hook: Hook, row: HookRow, late: boolean): void {
  const { random, clock } = run.tree;
  row.completed_at = clock.now;
  row.updated_at = clock.now;
  row.duration_ms = clock.now - row.started_at;
  if (late) {
    row.status = 'timeout';
    fail(run, row, 'HookTimeout', `hook ${hook.name} did not answer within ${timeLimit / 1000} s`);
    return;
  }
  if (random.chance(hook.failureRate)) {
    row.status = 'failed';
    row.exit_code = random.pick([1, 1, 126, 137]);
    if (hook.name === 'type-check') {
      const errors = random.integer(1, 40);
      fail(run, row, 'TypeCheckError', `${errors} errors found by the type checker`);
    } else {
      fail(run, row, 'HookCrash', `hook ${hook.name} exited with code ${row.exit_code}`);
      row.error_stack = `${hook.name}: line ${random.integer(3, 90)}: ${row.error_message ?? ''}\n    at main (${hook.name}.sh:12)`;
    }
    return;
  }
  row.status = 'completed';
  row.exit_code = 0;
  addResult(random, hook, row);
}

function addResult(random: Random, hook: Hook, row: HookRow): void {
  if (hook.does === 'policy') {
    row.decision = random.chance(0.012) ? 'deny' : random.chance(0.05) ? 'ask' : 'allow';
    row.output_data = { permissionDecision: row.decision };
  } else if (hook.does === 'format' && random.chance(0.4)) {
    row.modifications_made = { lines: random.integer(1, 30), formatter: 'prettier' };
  } else if (hook.does === 'quality') {
    const score = Math.round(random.between(55, 100)) / 100;
    row.quality_check_performed = true;
    row.quality_results = { score, verdict: score < 0.65 ? 'needs review' : 'good' };
  }
}

function fail(run: Run, row: HookRow, errorType: string, message: string): void {
  row.error_type = errorType;
  row.error_message = message;
  noteError(run, errorType, { hook_type: row.hook_type });
}
