import { resolveSource } from '../../db/connection/source.js';
import { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import { openDatabase } from '../../embedded/index.js';
import { hasConsoleTable } from '../../deploy/console-schema.js';
import { storable, toJson } from '../../ingest/rows.js';
import { chooseEmbedder } from '../embedding/choose.js';
import { vectorText, type Embedder } from '../embedding/embedder.js';
import { uuidOf } from '../learner/pattern-state.js';
import { breakdownOf, choose, confidenceOf, type Candidate } from './choose.js';
import { findSimilar, type Found, type Search, searchOf, suggest, vectorFor } from './suggest.js';
import type {
  AgentOffer,
  Decision,
  DecisionRequest,
  Ending,
  Router,
  RouterOptions,
} from './types.js';

/** How old it may be: an index is rebuilt, or a threshold calibrated, while a router runs. */
const searchKeptMs = 60_000;

export async function openRouter(options: RouterOptions = {}): Promise<Router> {
  const { url, schema, poolSize, embedding, embeddingModel } = options;
  const embedder = chooseEmbedder({ embedding, model: embeddingModel, isBrief: true });
  const source = resolveSource({ url });
  const database =
    source.kind === 'embedded'
      ? await openDatabase({ schema, poolSize })
      : await Database.open(source, { schema, poolSize });
  try {
    return await routerOn(database, embedder, options);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** A router on an open database; its `close` closes that. */
export async function routerOn(
  database: Database,
  embedder: Embedder,
  { threshold, random = Math.random }: Pick<RouterOptions, 'threshold' | 'random'> = {},
): Promise<Router> {
  const { model } = embedder;
  let kept: { search: Search; atMs: number } | undefined;
  const currentSearch = async (): Promise<Search> => {
    if (!kept || performance.now() - kept.atMs > searchKeptMs) {
      const found = await searchOf(database, model);
      const search = { ...found, threshold: threshold ?? found.threshold };
      kept = { search, atMs: performance.now() };
    }
    return kept.search;
  };
  // Before the first prompt waits.
  await currentSearch();
  return {
    suggest: async (prompt, { limit } = {}) =>
      suggest(database, embedder, prompt, { limit, search: await currentSearch() }),
    async decide(request) {
      const begun = performance.now();
      const vector = await vectorFor(embedder, request.prompt);
      const { settings, threshold: least } = await currentSearch();
      return database.transaction({ settings }, async (tx) => {
        const found = vector ? await findSimilar(tx, vector, { threshold: least, model }) : [];
        const decided = decideBy(request, found, random);
        if (!decided) return null;
        const durationMs = Math.round(performance.now() - begun);
        const id = await writeDecision(tx, request, decided, vector, durationMs);
        return { ...decided, id };
      });
    },
    finish: (decision, ending) =>
      database.transaction({}, (tx) =>
        writeEnding(tx, database.capabilities.schema, decision, ending),
      ),
    close: () => database.close(),
  };
}

type Decided = Omit<Decision, 'id'>;

function decideBy(
  request: DecisionRequest,
  found: readonly Found[],
  random: () => number,
): Decided | undefined {
  const { prompt, agents, explicit, fallback, explore = true } = request;
  const offers = agents ?? knownAgents(found);
  const candidates = offers.map((offer) => candidateOf(offer, found));
  if (explicit !== undefined) {
    const offer = offers.find(({ name }) => name === explicit) ?? { name: explicit };
    const reason = `${explicit} was asked for by name`;
    return decided(request, 'explicit', candidateOf(offer, found), candidates, found, reason);
  }
  const isKnown = candidates.some(({ similarity }) => similarity > 0);
  if (isKnown) {
    const choice = choose(candidates, prompt, explore ? random : undefined);
    if (!choice) return undefined;
    const { candidate, isTry } = choice;
    const strategy = isTry ? 'exploration' : 'learned_pattern';
    const reason = isTry
      ? `${candidate.name} is tried: it may be better than what is known`
      : `${candidate.name} did best with such prompts lately`;
    return decided(request, strategy, candidate, candidates, found, reason);
  }
  const triggered = candidates
    .map((candidate) => ({ candidate, ...breakdownOf(candidate, prompt) }))
    .filter(({ trigger }) => trigger > 0)
    .toSorted((one, other) => other.trigger - one.trigger || other.capability - one.capability)[0];
  if (triggered) {
    const reason = `nothing known; the prompt has triggers of ${triggered.candidate.name}`;
    return decided(request, 'trigger_match', triggered.candidate, candidates, found, reason);
  }
  if (fallback === undefined) return undefined;
  const candidate = candidateOf({ name: fallback }, found);
  return decided(request, 'fallback', candidate, candidates, found, 'nothing known');
}

function decided(
  { prompt, correlationId }: DecisionRequest,
  strategy: Decision['strategy'],
  candidate: Candidate,
  candidates: readonly Candidate[],
  found: readonly Found[],
  reason: string,
): Decided {
  const breakdown = breakdownOf(candidate, prompt);
  const nearest = patternsOf(candidate.name, found)[0]?.pattern;
  return {
    correlationId,
    agent: candidate.name,
    strategy,
    confidence: strategy === 'explicit' ? 1 : confidenceOf(breakdown),
    breakdown,
    reason,
    patternId: nearest?.id ?? null,
    similarity: nearest?.similarity ?? null,
    expectedDurationMs: nearest?.expectedDurationMs ?? null,
    alternatives: candidates
      .filter(({ name }) => name !== candidate.name)
      .map((other) => ({ agent: other.name, confidence: confidenceOf(breakdownOf(other, prompt)) }))
      .toSorted((one, other) => other.confidence - one.confidence)
      .slice(0, 10),
  };
}

function patternsOf(agent: string, found: readonly Found[]): Found[] {
  return found.filter(({ pattern }) => pattern.agents[0] === agent);
}

/** What an agent's patterns tell, the nearer the more. */
function candidateOf(offer: AgentOffer, found: readonly Found[]): Candidate {
  const own = patternsOf(offer.name, found);
  const nearest = own[0]?.pattern.similarity ?? 0;
  const evidence = { good: 0, bad: 0 };
  for (const { pattern, evidence: of } of own) {
    const weight = Math.max(0, pattern.similarity / nearest) ** 4;
    evidence.good += weight * of.good;
    evidence.bad += weight * of.bad;
  }
  return { ...offer, evidence, similarity: nearest };
}

function knownAgents(found: readonly Found[]): AgentOffer[] {
  const names = new Set(found.flatMap(({ pattern }) => pattern.agents.slice(0, 1)));
  return [...names].map((name) => ({ name }));
}

const longestQuery = 2_000;

async function writeDecision(
  tx: Queryable,
  { prompt, correlationId }: DecisionRequest,
  decision: Decided,
  vector: Float32Array | undefined,
  durationMs: number,
): Promise<string> {
  const { rows } = await tx.query<{ id: string }>(
    `INSERT INTO agent_routing_decisions (trace_id, query_text, query_embedding, agent_selected, confidence_score,
       confidence_breakdown, routing_strategy, selection_reason, alternatives, pattern_id, decision_duration_ms)
     SELECT t.id, $2, $3::vector, $4, $5, $6::jsonb, $7, $8, $9::jsonb, $10, $11
     FROM execution_traces AS t WHERE t.correlation_id = $1 RETURNING id`,
    [
      correlationId,
      storable(prompt.slice(0, longestQuery)),
      vector ? vectorText(vector) : null,
      storable(decision.agent),
      rounded(decision.confidence),
      toJson(roundedAll(decision.breakdown)),
      decision.strategy,
      storable(decision.reason),
      toJson(decision.alternatives.map(roundedAll)),
      decision.patternId,
      durationMs,
    ],
  );
  const [row] = rows;
  if (!row) {
    throw new ConsoleError('not_found', `There is no trace ${correlationId} to decide for.`, {
      hint: 'Write its row of execution_traces first.',
    });
  }
  return row.id;
}

function roundedAll(values: object): object {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, rounded(value)]));
}

function rounded(value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 10_000) / 10_000 : value;
}

/** The pattern, locked, or the one that it was merged into meanwhile; undefined: it was pruned. */
async function patternNow(tx: Queryable, schema: string, id: string): Promise<string | undefined> {
  const locked = async (where: string, value: string) => {
    const { rows } = await tx.query<{ id: string }>(
      `SELECT id FROM success_patterns WHERE ${where} LIMIT 1 FOR NO KEY UPDATE`,
      [value],
    );
    return rows[0]?.id;
  };
  const there = await locked('id = $1::uuid', id);
  if (there !== undefined) return there;
  const key = await mergedInto(tx, schema, id);
  if (key !== undefined) return locked('pattern_hash = $1', key);
  // One that was not learned stands in the pattern that took it in, only there: that reads all patterns.
  return locked(
    `context ? 'merged' AND context -> 'merged' @> jsonb_build_array(jsonb_build_object('id', $1::text))`,
    id,
  );
}

/** The key of the pattern that a learned one was merged into: its id is made of its key. */
async function mergedInto(tx: Queryable, schema: string, id: string): Promise<string | undefined> {
  if (!(await hasConsoleTable(tx, 'merged_patterns'))) return undefined;
  const { rows } = await tx.query<{ key: string; into: string }>(
    `SELECT pattern_key AS key, into_key AS into FROM trace_console.merged_patterns WHERE target_schema = $1`,
    [schema],
  );
  return rows.find(({ key }) => uuidOf(key) === id)?.into;
}

/**
 * A pattern that was pruned meanwhile leaves only the decision to be completed. A decision that was finished before
 * keeps its first end: the log entry of its use names it.
 */
async function writeEnding(
  tx: Queryable,
  schema: string,
  decision: Decision,
  ending: Ending,
): Promise<void> {
  const { outcome, durationMs, feedback } = ending;
  const { similarity } = decision;
  // One that finishes it at the same moment waits here, and then finds the entry.
  await tx.query('SELECT FROM agent_routing_decisions WHERE id = $1 FOR NO KEY UPDATE', [
    decision.id,
  ]);
  const { rows: entries } = await tx.query(
    `SELECT FROM pattern_usage_log WHERE correlation_id = $1 AND deviations @> jsonb_build_object('decision', $2::text) LIMIT 1`,
    [decision.correlationId, decision.id],
  );
  if (entries.length > 0) return;
  const patternId =
    decision.patternId === null ? undefined : await patternNow(tx, schema, decision.patternId);
  if (patternId !== undefined) {
    await tx.query(
      `SELECT record_pattern_usage(pattern_id => $1, outcome => $2, correlation_id => $3, match_score => $4,
         actual_duration_ms => $5, expected_duration_ms => $6, user_feedback => $7,
         deviations => jsonb_build_object('decision', $8::text))`,
      [
        patternId,
        outcome,
        decision.correlationId,
        similarity === null ? null : rounded(Math.max(0, Math.min(1, similarity))),
        Number.isFinite(durationMs) ? Math.round(durationMs ?? 0) : null,
        decision.expectedDurationMs,
        feedback === undefined ? null : storable(feedback),
        decision.id,
      ],
    );
  }
  const success = outcome === 'success' ? true : outcome === 'failure' ? false : null;
  await tx.query(
    `UPDATE agent_routing_decisions SET actual_success = $2 WHERE id = $1 AND ($3 OR actual_success IS NULL)`,
    [decision.id, success, patternId !== undefined],
  );
}
