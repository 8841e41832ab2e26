import { learnedKeys } from '../../core/tables.js';
import { needKeys } from '../../db/capabilities.js';
import { ConsoleError, readOnlyError, type ErrorCode } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import {
  type Embedder,
  type EmbeddingUsage,
  EndpointRefusal,
  vectorText,
} from '../embedding/embedder.js';
import { hasTables, Learner } from './learner.js';
import { LearnerLease, oneProcessor, pause, restOf } from './lease.js';
import { askForMore, publish, sequenceOf, type Published } from './publish.js';
import { type Candidate, countCandidates, findCandidates } from './read-turns.js';
import { ranked } from './pattern-state.js';
import { bytesOf } from './store.js';

export type LearnOptions = {
  embedder: Embedder;
  /** Only turns that started since; default: all that were not learned from. */
  since?: Date | undefined;
  /** At most so many turns. */
  limit?: number | undefined;
  /** A pattern gets a row from so many turns on; default 2. */
  leastTurns?: number | undefined;
  /** Turns a transaction; default 500. */
  batchSize?: number | undefined;
  /** A pause after each transaction, in parts of its time, for writers that waited for a processor; default 0.5. */
  restShare?: number | undefined;
  signal?: AbortSignal | undefined;
};

export type LearnSummary = {
  /** Turns that were learned from. */
  turns: number;
  /** Turns whose judgement people overruled. */
  overruled: number;
  published: Published;
  embedding: EmbeddingUsage & { model: string };
  milliseconds: number;
  /** The signal came before all were learned. */
  interrupted: boolean;
};

const defaults = { leastTurns: 2, batchSize: 500 };
/** Turns that are looked up at once: each look-up sorts what is left to learn. */
const candidatesAtOnce = 20_000;
/** Rows are published so often in a long run: each publishing writes into every index of a pattern. */
const publishEveryMs = 20_000;
const limits = { statementTimeoutMs: 120_000, settings: oneProcessor };

/**
 * Learns from the turns that ended and were not learned from: success patterns, agent chains, error patterns.
 * Stopped or killed, it goes on where it was.
 *
 * @throws ConsoleError `busy` while another process learns; `read_only`, `row_security`, `privilege_missing`
 */
export async function* learn(
  database: Database,
  options: LearnOptions,
): AsyncGenerator<LearnProgress, LearnSummary> {
  const begun = performance.now();
  const { embedder, signal, leastTurns = defaults.leastTurns } = options;
  await checkAllowed(database);
  const lease = await LearnerLease.take(database);
  const published: Published = { patterns: 0, chains: 0, errors: 0 };
  try {
    yield* embedAnew(database, lease, embedder, signal);
    const learner = await Learner.open({ database, embedder, lease });
    const overruled = await learner.hearFeedback(signal);
    const { turns: total } = await countWork(database, {
      model: embedder.model,
      since: options.since,
    });
    const rest = restOf(options);
    let publishedAt = performance.now();
    let turns = 0;
    const ended = yield* eachBatch(database, { ...options, total }, true, async (batch) => {
      turns += await learner.learn(batch, signal);
      if (performance.now() - publishedAt < publishEveryMs) return;
      await publish(database, lease, { leastTurns, rest }, published);
      learner.patterns.forgetAll();
      publishedAt = performance.now();
    });
    yield { phase: 'writing patterns' };
    await askForMore(database, lease, leastTurns);
    await publish(database, lease, { leastTurns, rest }, published);
    return summaryOf(embedder, begun, { turns, overruled, published, interrupted: !ended });
  } finally {
    await lease.release();
  }
}

/** @param begun see performance.now */
function summaryOf(
  embedder: Embedder,
  begun: number,
  found: Pick<LearnSummary, 'turns' | 'overruled' | 'published' | 'interrupted'>,
): LearnSummary {
  return {
    ...found,
    embedding: { model: embedder.model, ...embedder.usage() },
    milliseconds: Math.round(performance.now() - begun),
  };
}

/** What there is to learn from; `otherModel`: groups of prompts that have the vectors of another model. */
export type Work = { turns: number; feedback: number; otherModel: number };

export async function countWork(
  database: Database,
  { model, since }: { model: string; since?: Date | undefined },
): Promise<Work> {
  const { schema } = database.capabilities;
  return database.transaction({ ...limits, readOnly: true }, async (tx) => {
    const hasLedger = await hasTables(tx);
    const turns = await countCandidates(tx, { schema, since: since ?? null, hasLedger });
    if (!hasLedger) return { turns, feedback: 0, otherModel: 0 };
    const { rows } = await tx.query<Omit<Work, 'turns'>>(
      `SELECT (SELECT count(*)::int FROM trace_console.trace_feedback AS f
          JOIN trace_console.learned_traces AS l USING (target_schema, correlation_id)
          WHERE f.target_schema = $1 AND NOT f.is_learned) AS feedback,
         (SELECT count(*)::int FROM trace_console.prompt_clusters
          WHERE target_schema = $1 AND model <> $2) AS "otherModel"`,
      [schema, model],
    );
    return { turns, feedback: 0, otherModel: 0, ...rows[0] };
  });
}

/** What learning would find, without writing anything. Texts are embedded: an endpoint is asked, too. */
export async function* learnDry(
  database: Database,
  options: LearnOptions,
): AsyncGenerator<LearnProgress, Findings> {
  const { embedder, signal } = options;
  const learner = await Learner.open({ database, embedder, lease: undefined });
  let turns = 0;
  yield* eachBatch(database, options, learner.hasStore, async (batch) => {
    turns += await learner.learn(batch, signal);
  });
  return describeFindings(learner, turns, options.leastTurns ?? defaults.leastTurns);
}

export type WatchOptions = LearnOptions & {
  /** Milliseconds between two looks; default 5,000. */
  everyMs?: number | undefined;
};

/** A look goes back so far: what came late is found by the next full one. */
const looksBackMs = 60 * 60_000;
const fullEveryMs = 10 * 60_000;

/** What passes by itself: a server that restarts, an endpoint that is away. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'connection_lost',
  'connection_refused',
  'connection_timeout',
  'embedded_unavailable',
  'too_many_connections',
  'lock_timeout',
  'statement_timeout',
]);

/** What does not pass soon, a quota that is used up, is not asked for more often. */
const longestPauseMs = 300_000;
/** An endpoint that asks for a longer pause is asked again after a day, in case it was let in again. */
const longestAskedMs = 86_400_000;

/** Learns until the signal. Says how far embedding anew is, then each look that learned something. */
export async function* watch(
  database: Database,
  options: WatchOptions,
): AsyncGenerator<LearnProgress | LearnSummary, void> {
  const { signal, everyMs = 5_000, embedder, leastTurns = defaults.leastTurns } = options;
  await checkAllowed(database);
  const lease = await LearnerLease.take(database);
  try {
    yield* embedAnew(database, lease, embedder, signal);
    if (!signal?.aborted) yield { phase: 'watching' };
    let learner: Learner | undefined;
    let fullAt = -Infinity;
    let isDue = false;
    let pauseMs = everyMs;
    let said = '';
    const rest = restOf(options);
    const look = async (): Promise<LearnSummary | undefined> => {
      const begun = performance.now();
      const isFull = begun - fullAt >= fullEveryMs;
      const since = isFull ? options.since : await recently(database, options.since);
      const one = (learner ??= await Learner.open({ database, embedder, lease }));
      const published: Published = { patterns: 0, chains: 0, errors: 0 };
      const overruled = await one.hearFeedback(signal);
      let turns = 0;
      const batches = eachBatch(database, { ...options, since }, true, async (batch) => {
        turns += await one.learn(batch, signal);
      });
      await ended(batches);
      if (isFull) fullAt = begun;
      if (turns + overruled === 0 && !isDue) return undefined;
      await publish(database, lease, { leastTurns, rest }, published);
      one.patterns.forgetAll();
      return summaryOf(embedder, begun, { turns, overruled, published, interrupted: false });
    };
    while (!signal?.aborted) {
      try {
        const summary = await look();
        isDue = false;
        pauseMs = everyMs;
        said = '';
        if (summary) yield summary;
      } catch (error) {
        if (signal?.aborted) break;
        if (!(error instanceof ConsoleError) || !passing.has(error.code)) throw error;
        // What was learned is in the database; what is in memory may be ahead of it.
        learner = undefined;
        isDue = true;
        if (error.message !== said) yield { phase: `waiting: ${error.message}` };
        said = error.message;
        pauseMs = Math.min(2 * pauseMs, longestPauseMs);
        if (error.cause instanceof EndpointRefusal) {
          pauseMs = Math.max(pauseMs, Math.min(error.cause.askedMs, longestAskedMs));
        }
      }
      await pause(pauseMs, signal);
    }
  } finally {
    await lease.release();
  }
}

/** By the server's clock, which writes the times of rows; never before what was asked for. */
async function recently(database: Database, since: Date | undefined): Promise<Date | undefined> {
  const [row] = await database.read<{ since: Date }>(
    'SELECT GREATEST($1::timestamptz, now() - make_interval(secs => $2)) AS since',
    [since ?? null, looksBackMs / 1_000],
  );
  return row?.since;
}

async function ended(steps: AsyncGenerator<unknown, unknown>): Promise<void> {
  while (!(await steps.next()).done);
}

/** Gives the turns to `take`, batch by batch; false when the signal came before the last. */
async function* eachBatch(
  database: Database,
  options: LearnOptions & { total?: number },
  hasLedger: boolean,
  take: (batch: Candidate[]) => Promise<void>,
): AsyncGenerator<LearnProgress, boolean> {
  const { since, limit = Infinity, batchSize = defaults.batchSize, signal, total } = options;
  const { schema } = database.capabilities;
  const rest = restOf(options);
  let after: Candidate | undefined;
  let done = 0;
  while (done < limit) {
    const wanted = Math.min(candidatesAtOnce, limit - done);
    const query = { schema, since: since ?? null, after, limit: wanted, hasLedger };
    const found = await database.transaction({ ...limits, readOnly: true }, (tx) =>
      findCandidates(tx, query),
    );
    for (let from = 0; from < found.length; from += batchSize) {
      if (signal?.aborted) return false;
      const begun = performance.now();
      const batch = found.slice(from, from + batchSize);
      await take(batch);
      done += batch.length;
      const workedMs = performance.now() - begun;
      // Turns end while it learns.
      const of = total === undefined ? {} : { total: Math.max(done, Math.min(total, limit)) };
      yield { phase: 'learning', done, unit: 'turns', ...of };
      await rest(workedMs);
    }
    after = found.at(-1);
    if (found.length < wanted) break;
  }
  return true;
}

async function checkAllowed(database: Database): Promise<void> {
  const { capabilities, readOnly } = database;
  if (readOnly) {
    const hint = 'Start it without --read-only, or add --dry-run.';
    throw readOnlyError('Learning', database, hint);
  }
  const isFiltered = capabilities.tables.execution_traces?.filtered ?? false;
  if (isFiltered && capabilities.user !== 'service_role') {
    throw new ConsoleError(
      'row_security',
      `Learning: refused, row-level security hides traces from "${capabilities.user}".`,
      { hint: 'Connect as the owner of the tables, as service_role, or as a role with BYPASSRLS.' },
    );
  }
  await database.transaction({ ...limits, readOnly: true }, (tx) =>
    needKeys(tx, 'Learning', learnedKeys),
  );
}

/** What learning found, for people: the largest first. */
export type Findings = {
  turns: number;
  clusters: number;
  /** `tools`: in their order, as most good turns used them; empty where that is not known. */
  patterns: { prompt: string; agent: string; turns: number; good: number; tools: string[] }[];
  chains: { agents: readonly string[]; occurrences: number; good: number }[];
  errors: { type: string; message: string; occurrences: number; resolution: string | null }[];
};

const most = 20;

/** Of what is in a learner's memory. */
function describeFindings(learner: Learner, turns: number, leastTurns: number): Findings {
  const patterns = [...learner.patterns.entries()]
    .map(([, state]) => state)
    .filter((state) => state.turns >= leastTurns)
    .toSorted((one, other) => other.turns - one.turns)
    .slice(0, most)
    .map(({ prompt, agent, turns: count, good, tools }) => ({
      prompt,
      agent,
      turns: count,
      good,
      tools: sequenceOf(tools) ?? [],
    }));
  const chains = [...learner.chains.entries()]
    .map(([, { agents, occurrences, good }]) => ({ agents, occurrences, good }))
    .toSorted((one, other) => other.occurrences - one.occurrences)
    .slice(0, most);
  const errors = [...learner.errors.families()]
    .toSorted((one, other) => other.occurrences - one.occurrences)
    .slice(0, most)
    .map(({ errorType, template, occurrences, resolutions }) => ({
      type: errorType,
      message: template.join(' '),
      occurrences,
      resolution: ranked(resolutions)[0]?.[0] ?? null,
    }));
  return { turns, clusters: learner.clusters.size, patterns, chains, errors };
}

/** How far learning is. */
export type LearnProgress = { phase: string; done?: number; total?: number; unit?: string };

const clustersAtOnce = 100;
const embedLimits = { statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 };

/**
 * After a change of the model: embeds every group of prompts and the patterns learned from it anew. Until one has its
 * new vector it is not found; vectors of two models are never compared. Interrupted, it goes on where it was.
 */
async function* embedAnew(
  database: Database,
  lease: LearnerLease,
  embedder: Embedder,
  signal: AbortSignal | undefined,
): AsyncGenerator<LearnProgress, void> {
  const { schema } = database.capabilities;
  const [left] = await database.read<{ count: number }>(
    'SELECT count(*)::int AS count FROM trace_console.prompt_clusters WHERE target_schema = $1 AND model <> $2',
    [schema, embedder.model],
    embedLimits,
  );
  const total = left?.count ?? 0;
  for (let done = 0; done < total && !signal?.aborted;) {
    const rows = await database.read<{ cluster: string; request: string }>(
      `SELECT cluster, request FROM trace_console.prompt_clusters
       WHERE target_schema = $1 AND model <> $2 ORDER BY cluster LIMIT $3`,
      [schema, embedder.model, clustersAtOnce],
    );
    if (rows.length === 0) return;
    const vectors = await embedder.embed(
      rows.map(({ request }) => request),
      signal,
    );
    await database.transaction(embedLimits, async (tx) => {
      await lease.hold(tx);
      const ids = rows.map(({ cluster }) => cluster);
      await tx.query(
        `UPDATE trace_console.prompt_clusters AS c SET model = $2, embedding = n.embedding
         FROM unnest($3::text[], $4::bytea[]) AS n (cluster, embedding)
         WHERE c.target_schema = $1 AND c.cluster = n.cluster`,
        [schema, embedder.model, ids, vectors.map((vector) => bytesOf(vector))],
      );
      await tx.query(
        `UPDATE success_patterns AS p SET prompt_embedding = n.embedding::vector, embedding_model = $1
         FROM unnest($2::text[], $3::text[]) AS n (cluster, embedding)
         WHERE p.pattern_hash LIKE 'learned:%' AND split_part(p.pattern_hash, ':', 2) = n.cluster`,
        [embedder.model, ids, vectors.map(vectorText)],
      );
    });
    done += rows.length;
    yield { phase: `embedding prompts with ${embedder.model}`, done, total, unit: 'groups' };
  }
}
