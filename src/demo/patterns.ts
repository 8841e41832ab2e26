import { embeddingModel, type Embeddings, Random } from './random.js';
import type { PatternRow } from './rows.js';
import { demoTag } from './options.js';
import { agentNamed } from './vocabulary/agents.js';
import { intents, type Intent } from './vocabulary/intents.js';
import { writePrompt, projects } from './vocabulary/prompts.js';

/** A learned pattern, as the simulation uses it. */
export type Pattern = {
  id: string;
  hash: string;
  intent: Intent;
  variant: number;
  agents: readonly string[];
  expectedMs: number;
  /** Its share of successes is lower by this. */
  weakness: number;
};

/**
 * The learned patterns: `variants` of each intent. They depend on nothing but their own name, so
 * that every run of the demo knows the same ones and a second run adds to their counters.
 */
export class PatternBook {
  readonly patterns: readonly Pattern[];
  readonly #byIntent = new Map<string, readonly Pattern[]>();

  constructor(variants: number) {
    for (const intent of intents) {
      const ofIntent = Array.from({ length: variants }, (_, variant) =>
        makePattern(intent, variant),
      );
      this.#byIntent.set(intent.name, ofIntent);
    }
    this.patterns = [...this.#byIntent.values()].flat();
  }

  /** A pattern that fits the intent; the first ones are by far the most popular. */
  match(intent: Intent, random: Random): Pattern {
    const ofIntent = this.#byIntent.get(intent.name) ?? [];
    return random.pick(ofIntent.slice(0, 1 + Math.floor(ofIntent.length * random.next() ** 2)));
  }
}

function makePattern(intent: Intent, variant: number): Pattern {
  const random = new Random('pattern', intent.name, variant);
  const lead = random.chance(0.75) ? (intent.agents[0] ?? '') : random.pick(intent.agents);
  const helpers = agentNamed(lead).delegatesTo;
  return {
    id: random.uuid(),
    hash: `${demoTag}:${intent.name}:${variant}`,
    intent,
    variant,
    agents: random.chance(0.45) && helpers.length > 0 ? [lead, random.pick(helpers)] : [lead],
    expectedMs: Math.round(random.logNormal(14_000, 0.5)),
    weakness: random.chance(0.15) ? random.between(0.2, 0.5) : random.between(0, 0.1),
  };
}

/** The row of a pattern that nobody has used yet. */
export function patternRow(
  pattern: Pattern,
  createdAt: number,
  embeddings: Embeddings,
): PatternRow {
  const { id, hash, intent, variant, agents } = pattern;
  const random = new Random('pattern-row', intent.name, variant);
  const project = random.pick(projects);
  return {
    id,
    created_at: createdAt,
    updated_at: createdAt,
    pattern_hash: hash,
    prompt_text: writePrompt(random, intent, project, true),
    prompt_embedding: embeddings.near(intent.name, 0.5, random),
    embedding_model: embeddingModel,
    intent_classification: intent.name,
    keywords: intent.keywords.filter(() => random.chance(0.8)),
    agent_sequence: [...agents],
    routing_strategy: random.pick(['learned_pattern', 'fuzzy_match', 'explicit']),
    hook_sequence: [
      { type: 'UserPromptSubmit', name: 'context-inject' },
      { type: 'PostToolUse', name: 'format-on-save' },
      { type: 'Stop', name: 'transcript-sync' },
    ],
    endpoint_pattern: { 'rag-service': 1, 'intelligence-service': random.integer(0, 2) },
    confidence_score: round4(random.between(0.55, 0.98)),
    is_active: !random.chance(0.04),
    context: { language: project.language, learned_from: random.integer(3, 40) },
    tags: [demoTag, project.name],
  };
}

export function round4(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
