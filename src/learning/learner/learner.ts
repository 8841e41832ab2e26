import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { usualThreshold, type Embedder } from '../embedding/embedder.js';
import { requestOf } from '../text/prompt-text.js';
import {
  addToChain,
  addTurn,
  chainKey,
  type ChainState,
  mostFrequent,
  newChain,
  newPattern,
  patternKey,
  type PatternState,
  reviseTurn,
  uuidOf,
} from './pattern-state.js';
import { ClusterBook } from './cluster-book.js';
import { ErrorBook } from './error-book.js';
import { judge, judgeByNext, type Verdict, type Turn } from './tree.js';
import { limits, oneProcessor, type LearnerLease } from './lease.js';
import { type Candidate, followedBy, readTurns } from './read-turns.js';
import {
  feedbackAtOnce,
  feedbackFor,
  flushClusters,
  flushErrors,
  foldMerged,
  ItemCache,
  lastTurns,
  loadClusters,
  loadErrors,
  loggedUses,
  markHeard,
  unheardFeedback,
  writeLedger,
  type KnownTurn,
  type LedgerEntry,
} from './store.js';

const serial = { ...limits, settings: oneProcessor };

/** An error that the next turn of the session got over within this time was resolved by it. */
const resolvedWithinMs = 60 * 60_000;

type Facts = {
  turns: Turn[];
  vectors: Map<string, Float32Array>;
  sessions: Map<string, KnownTurn>;
  feedback: Map<string, boolean>;
  logged: Set<string>;
};

/**
 * Learns from turns, batch by batch. What is known is in memory while it works, and written with the ledger of the
 * batch's turns in one transaction: killed at any moment, each turn was counted once or not at all.
 *
 * After an error it is of no use any more: what is in memory may be ahead of the database.
 */
export class Learner {
  readonly patterns = new ItemCache<PatternState>('pattern');
  readonly chains = new ItemCache<ChainState>('chain');
  readonly errors = new ErrorBook();
  readonly clusters: ClusterBook;
  readonly #database: Database;
  readonly #embedder: Embedder;
  /** None in a dry run: nothing is written. */
  readonly #lease: LearnerLease | undefined;
  readonly #hasStore: boolean;
  /** Of a dry run, which has no ledger to ask. */
  readonly #dryTurns = new Map<string, KnownTurn>();
  #turn: number;

  private constructor(options: LearnerOptions, hasStore: boolean, known: Known) {
    this.#database = options.database;
    this.#embedder = options.embedder;
    this.#lease = options.lease;
    this.#hasStore = hasStore;
    this.#turn = known.turns;
    this.clusters = new ClusterBook(known.threshold ?? usualThreshold(options.embedder.model));
  }

  /** Reads what was learned before. */
  static async open(options: LearnerOptions): Promise<Learner> {
    const { database, embedder } = options;
    const { schema } = database.capabilities;
    return database.transaction({ ...serial, readOnly: true }, async (tx) => {
      const hasStore = await hasTables(tx);
      const learner = new Learner(
        options,
        hasStore,
        hasStore ? await readKnown(tx, schema, embedder.model) : { turns: 0, threshold: null },
      );
      if (!hasStore) return learner;
      await loadClusters(tx, schema, embedder.model, learner.clusters);
      await loadErrors(tx, schema, learner.errors);
      return learner;
    });
  }

  get hasStore(): boolean {
    return this.#hasStore;
  }

  /** Learns from these turns, in their order; gives how many were learned: a tree that still runs is left. */
  learn(candidates: readonly Candidate[], signal?: AbortSignal): Promise<number> {
    return this.#learn(
      candidates.map(({ correlationId }) => correlationId),
      signal,
    );
  }

  /** @param isAgain their errors were counted before */
  async #learn(
    roots: readonly string[],
    signal: AbortSignal | undefined,
    isAgain = false,
  ): Promise<number> {
    const facts = await this.#read(roots, signal);
    const clusters = this.#group(facts);
    const keys = facts.turns.map((turn) => {
      const cluster = clusters.get(turn.correlationId);
      return cluster === undefined ? null : patternKey(cluster, turn.agent);
    });
    const revised = [...facts.sessions.values()];
    if (!this.#lease) {
      const entries = this.#count(facts, keys, clusters, isAgain);
      for (const entry of entries.values()) this.#dryTurns.set(entry.sessionId, entry);
      return facts.turns.length;
    }
    await this.#write(async (tx, schema) => {
      const named = await foldMerged(tx, schema, this.patterns, [...keys, ...revised.map(keyOf)]);
      for (const turn of revised) turn.patternKey = named(turn.patternKey);
      const kept = keys.map(named);
      const chainKeys = facts.turns.map(chainKey);
      await this.patterns.load(tx, schema, present([...kept, ...revised.map(keyOf)]));
      await this.chains.load(
        tx,
        schema,
        present([...chainKeys, ...revised.map((turn) => turn.chainKey)]),
      );
      const entries = this.#count(facts, kept, clusters, isAgain);
      await writeLedger(tx, schema, [...entries.values()]);
      await markHeard(tx, schema, facts.feedback);
      await this.#flush(tx, schema);
      await tx.query(
        `UPDATE trace_console.learners SET traces = $2, learned_at = now(), embedding_model = $3
         WHERE target_schema = $1`,
        [schema, this.#turn, this.#embedder.model],
      );
    });
    return facts.turns.length;
  }

  /** Lets what people said of turns overrule what was counted; gives how many turns changed. */
  async hearFeedback(signal?: AbortSignal): Promise<number> {
    const { schema } = this.#database.capabilities;
    for (let overruled = 0; ;) {
      const some = await this.#database.transaction({ ...serial, readOnly: true }, (tx) =>
        unheardFeedback(tx, schema),
      );
      if (some.length === 0) return overruled;
      // Turns that nobody saw end were counted nowhere; those that a person judged since are counted now.
      const unknown = some.filter(({ judgedBy }) => judgedBy === 'unknown');
      if (unknown.length > 0) overruled += await this.#learn(unknown.map(idOf), signal, true);
      // The others, and those whose trace is gone.
      overruled += await this.#hear(some.map(idOf));
      if (some.length < feedbackAtOnce) return overruled;
    }
  }

  #hear(turns: readonly string[]): Promise<number> {
    return this.#write(async (tx, schema) => {
      const heard = await unheardFeedback(tx, schema, turns);
      const named = await foldMerged(tx, schema, this.patterns, heard.map(keyOf));
      for (const turn of heard) turn.patternKey = named(turn.patternKey);
      const changed = heard.filter(({ said, isGood }) => said !== isGood);
      await this.patterns.load(tx, schema, present(changed.map(keyOf)));
      await this.chains.load(tx, schema, present(changed.map((turn) => turn.chainKey)));
      for (const turn of heard) this.#revise(turn, { isGood: turn.said, by: 'feedback' });
      await writeLedger(tx, schema, heard);
      const said = new Map(heard.map((turn) => [turn.correlationId, turn.said]));
      await markHeard(tx, schema, said);
      await this.#flush(tx, schema);
      return changed.length;
    });
  }

  async #read(roots: readonly string[], signal: AbortSignal | undefined): Promise<Facts> {
    const { schema } = this.#database.capabilities;
    const read = await this.#database.transaction({ ...serial, readOnly: true }, async (tx) => {
      const turns = await readTurns(tx, roots);
      const sessions = [...new Set(turns.map(({ sessionId }) => sessionId))];
      const known = this.#lease ? await lastTurns(tx, schema, sessions) : [];
      return {
        turns,
        sessions: this.#lease
          ? new Map(known.map((turn) => [turn.sessionId, turn]))
          : new Map(this.#dryTurns),
        feedback: this.#hasStore
          ? await feedbackFor(tx, schema, roots)
          : new Map<string, boolean>(),
        logged: await loggedUses(tx, roots),
      };
    });
    const requests = new Set(read.turns.flatMap(({ prompt }) => requestOf(prompt) ?? []));
    const texts = [...requests];
    const embedded = texts.length === 0 ? [] : await this.#embedder.embed(texts, signal);
    const vectors = new Map(texts.flatMap((text, index) => pair(text, embedded[index])));
    return { ...read, vectors };
  }

  /** The group of each turn whose prompt says enough. */
  #group({ turns, vectors }: Facts): Map<string, string> {
    const clusters = new Map<string, string>();
    for (const { correlationId, prompt } of turns) {
      this.#turn += 1;
      const request = requestOf(prompt);
      const vector = request === undefined ? undefined : vectors.get(request);
      if (request === undefined || vector === undefined) continue;
      clusters.set(correlationId, this.clusters.join(request, vector, this.#turn).id);
    }
    return clusters;
  }

  #count(
    { turns, sessions, feedback, logged }: Facts,
    keys: readonly (string | null)[],
    clusters: ReadonlyMap<string, string>,
    isAgain: boolean,
  ): Map<string, KnownTurn> {
    const entries = new Map<string, KnownTurn>();
    for (const [index, turn] of turns.entries()) {
      const last = sessions.get(turn.sessionId);
      const isLast = last === undefined || endedAfter(turn, last);
      // What came late, or began before the other did, says nothing of it.
      const before = isLast && last && turn.startedAt >= last.startedAt ? last : undefined;
      if (before && this.#judgeBefore(before, turn)) entries.set(before.correlationId, before);
      const said = feedback.get(turn.correlationId);
      const verdict: Verdict = said === undefined ? judge(turn) : { isGood: said, by: 'feedback' };
      const isCounted = verdict.by !== 'unknown';
      const key = isCounted ? (keys[index] ?? null) : null;
      const isLogged = key !== null && logged.has(`${turn.correlationId} ${uuidOf(key)}`);
      const entry: KnownTurn = {
        correlationId: turn.correlationId,
        sessionId: turn.sessionId,
        startedAt: turn.startedAt,
        endedAt: turn.endedAt,
        isGood: verdict.isGood,
        judgedBy: verdict.by,
        patternKey: key,
        chainKey: isCounted ? (chainKey(turn) ?? null) : null,
        isLogged,
        openErrors: isAgain ? [] : this.#countErrors(turn, verdict.isGood),
        prompt: turn.prompt,
      };
      const cluster = clusters.get(turn.correlationId);
      if (key !== null && cluster !== undefined) {
        const state = this.patterns.get(key) ?? newPattern(cluster, turn);
        addTurn(state, turn, verdict.isGood, isLogged);
        this.patterns.set(key, state);
      }
      this.#countChain(turn, entry);
      if (before && verdict.isGood && this.#resolveBefore(before, turn)) {
        entries.set(before.correlationId, before);
      }
      entries.set(turn.correlationId, entry);
      if (isLast) sessions.set(turn.sessionId, entry);
    }
    return entries;
  }

  #countChain(turn: Turn, { chainKey: key, isGood, patternKey: pattern }: LedgerEntry): void {
    if (key === null) return;
    const intents = pattern === null ? undefined : this.patterns.get(pattern)?.intents;
    const intent = turn.intent ?? (intents && mostFrequent(intents)) ?? null;
    const state = this.chains.get(key) ?? newChain(turn);
    addToChain(state, turn, isGood, intent);
    this.chains.set(key, state);
  }

  /** Counts the errors of a turn; gives those that it did not get over. */
  #countErrors(turn: Turn, isGood: boolean): string[] {
    const open = new Set<string>();
    for (const event of turn.errors) {
      const fingerprint = this.errors.add(event);
      if (!isGood) open.add(fingerprint);
      else this.errors.resolve(fingerprint, wayOver('same turn', event.then));
    }
    return [...open].slice(0, 10);
  }

  /** What the next turn says of the one before it; true when that changed. */
  #judgeBefore(before: KnownTurn, turn: Turn): boolean {
    if (!before.isGood || before.judgedBy === 'feedback') return false;
    const verdict = judgeByNext(before, turn);
    if (!verdict) return false;
    this.#revise(before, verdict);
    return true;
  }

  /** A turn that went well after one with open errors got over them; true when there were any. */
  #resolveBefore(before: KnownTurn, turn: Turn): boolean {
    if (before.openErrors.length === 0 || turn.startedAt - before.endedAt > resolvedWithinMs) {
      return false;
    }
    const tools = turn.tools.filter(({ isFailed }) => !isFailed).map(({ name }) => name);
    const how = wayOver(`next turn, ${turn.agent}`, [...new Set(tools)].slice(0, followedBy));
    for (const fingerprint of before.openErrors) this.errors.resolve(fingerprint, how);
    before.openErrors = [];
    return true;
  }

  #revise(turn: LedgerEntry, verdict: Verdict): void {
    const isChanged = turn.isGood !== verdict.isGood;
    turn.isGood = verdict.isGood;
    turn.judgedBy = verdict.by;
    if (!isChanged) return;
    const pattern = turn.patternKey === null ? undefined : this.patterns.get(turn.patternKey);
    if (pattern && turn.patternKey !== null) {
      reviseTurn(pattern, verdict.isGood, turn.isLogged);
      this.patterns.change(turn.patternKey);
    }
    const chain = turn.chainKey === null ? undefined : this.chains.get(turn.chainKey);
    if (chain && turn.chainKey !== null) {
      chain.good += verdict.isGood ? 1 : -1;
      this.chains.change(turn.chainKey);
    }
  }

  async #flush(tx: Queryable, schema: string): Promise<void> {
    await flushClusters(tx, schema, this.#embedder.model, this.clusters);
    await flushErrors(tx, schema, this.errors);
    await this.patterns.flush(tx, schema);
    await this.chains.flush(tx, schema);
  }

  #write<Result>(work: (tx: Queryable, schema: string) => Promise<Result>): Promise<Result> {
    return this.#database.transaction(serial, async (tx) => {
      await this.#lease?.hold(tx);
      return work(tx, this.#database.capabilities.schema);
    });
  }
}

export type LearnerOptions = {
  database: Database;
  embedder: Embedder;
  lease: LearnerLease | undefined;
};

type Known = { turns: number; threshold: number | null };

/** Whether learning's own tables are there and may be read. */
export async function hasTables(tx: Queryable): Promise<boolean> {
  const { rows } = await tx.query<{ found: boolean }>(
    `SELECT count(*) = 6 AS found FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND has_schema_privilege(n.oid, 'USAGE') AND c.relname IN ('learners',
       'learned_traces', 'learned_items', 'prompt_clusters', 'trace_feedback', 'embedding_thresholds')
       AND has_table_privilege(c.oid, 'SELECT')`,
  );
  return rows[0]?.found ?? false;
}

async function readKnown(tx: Queryable, schema: string, model: string): Promise<Known> {
  const { rows } = await tx.query<Known>(
    `SELECT COALESCE((SELECT traces FROM trace_console.learners WHERE target_schema = $1), 0) AS turns,
       (SELECT threshold FROM trace_console.embedding_thresholds WHERE target_schema = $1 AND model = $2) AS threshold`,
    [schema, model],
  );
  return rows[0] ?? { turns: 0, threshold: null };
}

function idOf({ correlationId: id }: LedgerEntry): string {
  return id;
}

function keyOf({ patternKey: key }: Pick<LedgerEntry, 'patternKey'>): string | null {
  return key;
}

/** In the order in which the ledger's last turn of a session is found. */
function endedAfter(turn: Turn, last: LedgerEntry): boolean {
  if (turn.endedAt !== last.endedAt) return turn.endedAt > last.endedAt;
  return turn.correlationId > last.correlationId;
}

function wayOver(where: string, tools: readonly string[]): string {
  return tools.length === 0 ? `${where}: no further tool` : `${where}: ${tools.join(', ')}`;
}

function present<Value>(values: readonly (Value | null | undefined)[]): Value[] {
  return values.flatMap((value) => (value === null || value === undefined ? [] : [value]));
}

function pair(text: string, vector: Float32Array | undefined): [string, Float32Array][] {
  return vector ? [[text, vector]] : [];
}
