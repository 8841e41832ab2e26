import { round4, type Pattern } from '../patterns.js';
import { Random } from '../random.js';
import type { Outcome, Status } from '../rows.js';
import { demoTag, demoUsageMarker } from '../options.js';
import { writePrompt } from '../vocabulary/prompts.js';
import type { Visit, Recorder, Tree, World } from './tree.js';
import type { Process } from './scheduler.js';
import { runTrace, type TraceEnd } from './trace.js';

export type PromptOptions = {
  world: World;
  visit: Visit;
  recorder: Recorder;
  clock: Tree['clock'];
  /** What the tree's chance depends on. */
  key: readonly (string | number)[];
  /** Traces at most, the root included. */
  mostTraces: number;
};

/** A user's prompt: its tree of traces, then what was learned from it. */
export function* runPrompt(options: PromptOptions): Process {
  const { world, visit, recorder, clock } = options;
  const random = new Random('tree', ...options.key);
  const budget = options.mostTraces - 1;
  const tree: Tree = { world, visit, random, recorder, clock, budget, chain: [], deepest: 0 };
  const end = yield* runTrace(tree, {
    source: 'user_prompt',
    prompt: writePrompt(random, visit.intent, visit.project, visit.position === 0),
    intent: visit.intent,
    agent: null,
    parent: null,
  });
  if (end.route.pattern) recordUsage(tree, end, end.route.pattern);
  if (tree.chain.length > 1) recordChain(tree, end);
}

function recordUsage(tree: Tree, end: TraceEnd, pattern: Pattern): void {
  const { random, clock, recorder } = tree;
  const { trace } = end.run;
  const outcome = outcomeOf(random, trace.status);
  const skipped = outcome === 'skipped';
  recorder.usage({
    id: random.uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    pattern_id: pattern.id,
    trace_id: trace.id,
    correlation_id: trace.correlation_id,
    used_at: clock.now,
    match_score: round4(Math.min(1, random.between(0.72, 0.99))),
    was_used: !skipped,
    outcome,
    expected_duration_ms: pattern.expectedMs,
    actual_duration_ms: skipped ? null : trace.duration_ms,
    deviations: {
      ...demoUsageMarker,
      ...(outcome === 'partial' ? { skipped_agents: pattern.agents.slice(1) } : {}),
    },
    user_feedback: random.chance(0.03) ? random.pick(['👍', '👎', 'good, but slow']) : null,
  });
}

function outcomeOf(random: Random, status: Status): Outcome {
  if (random.chance(0.06)) return 'skipped';
  if (random.chance(0.08)) return 'partial';
  return status === 'completed' ? 'success' : 'failure';
}

function recordChain(tree: Tree, { run }: TraceEnd): void {
  const { random, clock, recorder, chain } = tree;
  const { trace } = run;
  const agents = chain.slice(0, 6);
  const chainHash = `${demoTag}:${agents.join('>')}`;
  const total = trace.duration_ms ?? 0;
  recorder.chain({
    id: new Random('chain', chainHash).uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    chain_hash: chainHash,
    primary_agent: run.agent.name,
    agent_sequence: agents,
    delegation_depth: tree.deepest,
    trigger_context: run.intent.name,
    occurrence_count: 1,
    success_count: trace.status === 'completed' ? 1 : 0,
    avg_total_duration_ms: total,
    avg_coordination_overhead_ms: Math.round(total * random.between(0.03, 0.12)),
    example_trace_ids: [trace.id],
    tags: [demoTag],
    first_seen_at: trace.started_at,
    last_used_at: clock.now,
  });
}
