import { firstOf } from '../../core/values.js';
import { demoTag } from '../options.js';
import { type Pattern, round4 } from '../patterns.js';
import type { Random } from '../random.js';
import type { DecisionRow, HookRow, Json, Status, TraceRow } from '../rows.js';
import { type Agent, agentNamed, agents, modelNamed } from '../vocabulary/agents.js';
import { agentFailures } from '../vocabulary/failures.js';
import { toolTimes } from '../vocabulary/hooks.js';
import type { Intent } from '../vocabulary/intents.js';
import { writeDelegation } from '../vocabulary/prompts.js';
import { type Service, serviceNamed, services } from '../vocabulary/services.js';
import {
  callModel,
  callService,
  noteError,
  runHooks,
  type ToolUse,
  recordToolUse,
} from './call.js';
import { type Process, sleep } from './scheduler.js';
import { type Run, type Tree, type Trouble } from './tree.js';

type Route = { decision: DecisionRow; pattern: Pattern | null };

/** Chooses the run's agent, or confirms the one that was asked for, and records the decision. */
function* route(run: Run, asked: Agent | null): Process<Route> {
  const { random, clock, world, recorder } = run.tree;
  const startedAt = clock.now;
  const cacheHit = !asked && random.chance(0.22);
  if (!asked && !cacheHit) yield* callService(run, services.embeddings);
  yield sleep(cacheHit ? random.between(1, 4) : random.logNormal(asked ? 5 : 28, 0.7));

  const pattern = !asked && random.chance(0.42) ? world.patterns.match(run.intent, random) : null;
  const strategy = chooseStrategy(random, asked, pattern);
  const agent = asked ?? chooseAgent(run, pattern);
  run.agent = agent;
  const confidence = chooseConfidence(random, strategy);
  const storesEmbedding = !asked && random.chance(world.embeddingShare);
  const decision: DecisionRow = {
    id: random.uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    trace_id: run.trace.id,
    query_text: firstOf(run.trace.prompt_text, 500),
    query_embedding: storesEmbedding ? world.embeddings.near(run.intent.name, 0.8, random) : null,
    agent_selected: agent.name,
    confidence_score: confidence,
    confidence_breakdown: breakdown(random, confidence),
    routing_strategy: strategy,
    selection_reason: reasonFor(run, strategy, agent, pattern),
    alternatives: alternatives(run, agent, confidence),
    cache_hit: cacheHit,
    pattern_id: pattern?.id ?? null,
    decision_duration_ms: clock.now - startedAt,
    actual_success: null,
  };
  recorder.put('agent_routing_decisions', decision);
  return { decision, pattern };
}

function chooseStrategy(random: Random, asked: Agent | null, pattern: Pattern | null): string {
  if (asked) return 'explicit';
  if (pattern) return 'learned_pattern';
  return random.weighted([
    { weight: 6, name: 'fuzzy_match' },
    { weight: 3, name: 'semantic_search' },
    { weight: 1, name: 'fallback' },
  ]).name;
}

function chooseAgent(run: Run, pattern: Pattern | null): Agent {
  const { random } = run.tree;
  const learned = pattern?.agents[0];
  if (learned !== undefined) return agentNamed(learned);
  if (random.chance(0.06)) return random.weighted(agents);
  return agentNamed(
    random.chance(0.72) ? (run.intent.agents[0] ?? '') : random.pick(run.intent.agents),
  );
}

const centres = new Map([
  ['explicit', 0.97],
  ['learned_pattern', 0.88],
  ['semantic_search', 0.79],
  ['fuzzy_match', 0.74],
]);

/** Explicit requests are sure, fallbacks are not. */
function chooseConfidence(random: Random, strategy: string): number {
  const centre = centres.get(strategy) ?? 0.48;
  return round4(Math.min(1, Math.max(0.2, centre + 0.08 * random.normal())));
}

function breakdown(random: Random, confidence: number): Json {
  const part = () => round4(Math.min(1, Math.max(0, confidence + 0.1 * random.normal())));
  return { trigger: part(), context: part(), capability: part(), historical: part() };
}

function alternatives(run: Run, chosen: Agent, confidence: number): Json[] {
  const { random } = run.tree;
  return run.intent.agents
    .filter((name) => name !== chosen.name)
    .map((name, rank) => ({
      agent: name,
      confidence: round4(confidence * (0.9 - 0.15 * rank) * random.between(0.8, 1)),
    }));
}

function reasonFor(run: Run, strategy: string, agent: Agent, pattern: Pattern | null): string {
  if (strategy === 'explicit') return `${agent.name} was asked for by name`;
  if (pattern) return `pattern ${pattern.intent.name}/${pattern.variant} fits the prompt`;
  if (strategy === 'fallback') return 'no trigger matched; the default for the project was taken';
  return `words in common: ${run.intent.keywords.slice(0, 3).join(', ')}`;
}

/** What a trace is started for. */
type Task = {
  source: TraceRow['source'];
  prompt: string;
  intent: Intent;
  /** Asked for by name; null: to be routed. */
  agent: Agent | null;
  parent: Run | null;
};

/** How a trace ended. */
export type TraceEnd = { run: Run; route: Route };

type Verdict = { status: Exclude<Status, 'in_progress'>; trouble: Trouble | null };

const deepestLevel = 3;
const completed: Verdict = { status: 'completed', trouble: null };

/** One trace from its start to its end, with all traces that it starts. */
export function* runTrace(tree: Tree, task: Task): Process<TraceEnd> {
  yield { kind: 'turn' };
  const run = startTrace(tree, task);
  tree.recorder.put('execution_traces', run.trace);
  if (task.source === 'user_prompt') {
    if (tree.visit.position === 0) yield* runHooks(run, 'SessionStart');
    yield* runHooks(run, 'UserPromptSubmit');
  }
  const routed = yield* route(run, task.agent);
  tree.chain.push(run.agent.name);
  tree.deepest = Math.max(tree.deepest, run.depth);
  const verdict = yield* work(run, routed.pattern?.weakness ?? 0);
  if (verdict.status !== 'cancelled') {
    yield* runHooks(run, task.source === 'user_prompt' ? 'Stop' : 'SubagentStop');
    if (task.source === 'user_prompt' && tree.visit.last) yield* runHooks(run, 'SessionEnd');
  }
  endTrace(run, verdict);
  tree.recorder.put('execution_traces', run.trace);
  routed.decision.actual_success = verdict.status === 'completed';
  routed.decision.updated_at = tree.clock.now;
  tree.recorder.put('agent_routing_decisions', routed.decision);
  return { run, route: routed };
}

function startTrace(tree: Tree, task: Task): Run {
  const { random, clock, visit } = tree;
  const correlationId = random.uuid();
  const parent = task.parent?.trace ?? null;
  const agent = task.agent ?? agentNamed(task.intent.agents[0] ?? '');
  const model = modelNamed(agent.model);
  const depth = task.parent ? task.parent.depth + 1 : 0;
  const trace: TraceRow = {
    id: random.uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    correlation_id: correlationId,
    root_id: parent?.root_id ?? correlationId,
    parent_id: parent?.correlation_id ?? null,
    session_id: visit.sessionId,
    user_id: visit.user.id,
    project: visit.project.name,
    source: task.source,
    prompt_text: task.prompt,
    status: 'in_progress',
    error_type: null,
    error_message: null,
    model: model.name,
    provider: model.provider,
    input_tokens: 0,
    output_tokens: 0,
    cache_read_tokens: 0,
    cache_creation_tokens: 0,
    cost_usd: 0,
    context: {
      intent: task.intent.name,
      branch: visit.branch,
      language: visit.project.language,
      prompt_number: visit.position + 1,
      depth,
    },
    tags: [demoTag, task.intent.name],
    started_at: clock.now,
    completed_at: null,
    duration_ms: null,
  };
  return { tree, trace, agent, intent: task.intent, depth, hooks: 0 };
}

/** Steps of thinking, tools and delegation, until done or until something goes wrong. */
function* work(run: Run, weakness: number): Process<Verdict> {
  const { random, clock, world } = run.tree;
  const model = modelNamed(run.agent.model);
  run.trace.model = model.name;
  run.trace.provider = model.provider;

  const steps = random.integer(1, run.depth === 0 ? 4 : 3);
  const delegatesAt = wantsToDelegate(run) ? random.integer(0, steps - 1) : -1;
  const stopsAt = run.depth === 0 && random.chance(0.02) ? random.integer(0, steps - 1) : -1;
  for (let step = 0; step < steps; step += 1) {
    const trouble = yield* callModel(run);
    if (trouble) return failed(run, trouble);
    if (step === stopsAt) return { status: 'cancelled', trouble: null };
    const tool = yield* runTool(run);
    if (tool.trouble && random.chance(0.12)) return failed(run, tool.trouble);
    if (tool.needsReview && canStart(run)) yield* delegate(run, 'hook_trigger', 1);
    if (step === delegatesAt) {
      const childTrouble = yield* delegate(
        run,
        'agent_delegation',
        random.pick([1, 1, 1, 2, 2, 3]),
      );
      if (childTrouble && random.chance(0.35)) return failed(run, childTrouble);
    }
  }
  if (random.chance(0.01)) return yield* hang(run);
  const incident = world.incidents.failingAgent(run.agent.name, clock.now);
  const good = run.agent.successRate - weakness;
  if (random.chance(Math.max(1 - good, incident))) {
    const { errorType, message } = random.weighted(agentFailures);
    return failed(run, {
      errorType,
      message: message.replace('{n}', String(random.integer(2, 60))),
    });
  }
  return completed;
}

function canStart(run: Run): boolean {
  return run.depth < deepestLevel && run.tree.budget > 0;
}

function wantsToDelegate(run: Run): boolean {
  if (!canStart(run) || run.agent.delegatesTo.length === 0) return false;
  return run.tree.random.chance([0.5, 0.28, 0.15][run.depth] ?? 0);
}

/** Hands work to other agents, side by side; gives the trouble of one that failed. */
function* delegate(
  run: Run,
  source: 'agent_delegation' | 'hook_trigger',
  wanted: number,
): Process<Trouble | null> {
  const { tree } = run;
  const count = Math.min(wanted, tree.budget);
  tree.budget -= count;
  const ends: TraceEnd[] = [];
  const processes = Array.from({ length: count }, () => {
    const review = source === 'hook_trigger';
    const name = review ? 'agent-code-reviewer' : tree.random.pick(run.agent.delegatesTo);
    const task: Task = {
      source,
      prompt: writeDelegation(tree.random, run.intent, tree.visit.project),
      intent: run.intent,
      agent: agentNamed(name),
      parent: run,
    };
    return collect(runTrace(tree, task), ends);
  });
  yield sleep(tree.random.between(2, 25));
  yield { kind: 'all', processes };
  const bad = ends.find(({ run: child }) => child.trace.status !== 'completed');
  if (!bad) return null;
  const reason = bad.run.trace.error_type ?? bad.run.trace.status;
  return { errorType: 'DelegationFailed', message: `${bad.run.agent.name} gave up: ${reason}` };
}

function* collect(process: Process<TraceEnd>, ends: TraceEnd[]): Process {
  ends.push(yield* process);
}

/** Nothing happens any more, until somebody notices. */
function* hang(run: Run): Process<Verdict> {
  yield sleep(run.tree.random.logNormal(35_000, 0.4));
  const seconds = Math.round((run.tree.clock.now - run.trace.started_at) / 1000);
  const trouble = { errorType: 'AgentTimeout', message: `no progress for ${seconds} s` };
  return { ...failed(run, trouble), status: 'timeout' };
}

function failed(run: Run, trouble: Trouble): Verdict {
  noteError(run, trouble.errorType, { agent_name: run.agent.name });
  return { status: 'failed', trouble };
}

function endTrace({ trace, tree: { clock, random } }: Run, { status, trouble }: Verdict): void {
  trace.status = status;
  trace.error_type = trouble?.errorType ?? null;
  trace.error_message = trouble?.message ?? null;
  trace.cost_usd = Math.round(trace.cost_usd * 1e6) / 1e6;
  trace.completed_at = clock.now;
  trace.updated_at = clock.now;
  trace.duration_ms = clock.now - trace.started_at;
  if (status === 'cancelled') trace.context = { ...trace.context, cancelled_by: 'user' };
  if (random.chance(0.05)) trace.tags = [...trace.tags, 'reviewed'];
}

type ToolResult = {
  trouble: Trouble | null;
  /** A quality hook wants somebody to look at what was written. */
  needsReview: boolean;
};

/** One use of a tool with the hooks before and after it. */
function* runTool(run: Run): Process<ToolResult> {
  const { random } = run.tree;
  const tool = chooseTool(run);
  const before = yield* runHooks(run, 'PreToolUse', tool);
  if (before.some(({ decision }) => decision === 'deny')) {
    const message = `blocked by policy-guard: ${tool.name} outside of the project`;
    return { trouble: { errorType: 'PolicyViolation', message }, needsReview: false };
  }
  const trouble = yield* recordToolUse(run, tool, toolWork(run, tool));
  const after = yield* runHooks(run, trouble ? 'PostToolUseFailure' : 'PostToolUse', tool);
  if (random.chance(0.01)) yield* runHooks(run, 'PreCompact');
  return { trouble, needsReview: after.some(wantsReview) };
}

function chooseTool(run: Run): ToolUse {
  const { random } = run.tree;
  const name = random.pick(run.agent.tools);
  const takesFile = ['Read', 'Edit', 'Write', 'Grep'].includes(name);
  return {
    name,
    id: `toolu_${random.token(20)}`,
    file: takesFile ? random.pick(run.tree.visit.project.files) : null,
  };
}

function* toolWork(run: Run, tool: ToolUse): Process<Trouble | null> {
  const { random } = run.tree;
  const remote = remoteOf(tool.name, random);
  if (remote) return yield* callService(run, remote);
  const { medianMs, sigma } = toolTimes.get(tool.name) ?? { medianMs: 120, sigma: 0.8 };
  yield sleep(random.logNormal(medianMs, sigma));
  if (!random.chance(tool.name === 'Bash' ? 0.07 : 0.015)) return null;
  const message = `command exited with code ${random.pick([1, 1, 2, 127, 137])}`;
  return { errorType: 'ToolExecutionError', message: `${tool.name}: ${message}` };
}

/** Tools that reach out are calls to a service. */
function remoteOf(tool: string, random: Random): Service | null {
  if (tool.startsWith('mcp__github')) return serviceNamed('github-api');
  if (tool === 'WebFetch') return random.pick([services.github, services.registry]);
  return null;
}

function wantsReview({ quality_results: quality }: HookRow): boolean {
  return quality?.verdict === 'needs review';
}
