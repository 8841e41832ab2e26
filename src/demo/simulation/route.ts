import { cut, type Run } from './tree.js';
import { round4, type Pattern } from '../patterns.js';
import type { Random } from '../random.js';
import type { DecisionRow, Json } from '../rows.js';
import { agentNamed, agents, type Agent } from '../vocabulary/agents.js';
import { services } from '../vocabulary/services.js';
import { callService } from './call.js';
import { sleep, type Process } from './scheduler.js';

export type Route = { decision: DecisionRow; pattern: Pattern | null };

/** Chooses the run's agent, or confirms the one that was asked for, and records the decision. */
export function* route(run: Run, asked: Agent | null): Process<Route> {
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
    query_text: cut(run.trace.prompt_text, 500),
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

/** Explicit requests are sure, fallbacks are not. */
function chooseConfidence(random: Random, strategy: string): number {
  const centre = {
    explicit: 0.97,
    learned_pattern: 0.88,
    semantic_search: 0.79,
    fuzzy_match: 0.74,
  }[strategy];
  return round4(Math.min(1, Math.max(0.2, (centre ?? 0.48) + 0.08 * random.normal())));
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
