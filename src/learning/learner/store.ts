import type { Queryable } from '../../db/queryable.js';
import { hasConsoleTable } from '../../deploy/console-schema.js';
import type { Cluster, ClusterBook } from './cluster-book.js';
import type { ErrorBook, ErrorState } from './error-book.js';
import { absorb, type PatternState } from './pattern-state.js';
import type { Judgement } from './tree.js';

export type ItemKind = 'pattern' | 'chain' | 'error';

/** A turn as the ledger has it. Times are milliseconds since 1970. */
export type LedgerEntry = {
  correlationId: string;
  sessionId: string;
  startedAt: number;
  endedAt: number;
  isGood: boolean;
  judgedBy: Judgement;
  patternKey: string | null;
  chainKey: string | null;
  isLogged: boolean;
  openErrors: string[];
};

/** A turn of the ledger with its prompt, null when the trace is gone. */
export type KnownTurn = LedgerEntry & { prompt: string | null };

export type Feedback = { correlationId: string; isGood: boolean };

/** More are not kept in memory between two batches. */
const mostCached = 4_000;

/** The states of one kind: those in use in memory, all in the database. */
export class ItemCache<State> {
  readonly kind: ItemKind;
  readonly #states = new Map<string, State>();
  readonly #changed = new Set<string>();

  constructor(kind: ItemKind) {
    this.kind = kind;
  }

  get(key: string): State | undefined {
    return this.#states.get(key);
  }

  set(key: string, state: State): void {
    this.#states.set(key, state);
    this.#changed.add(key);
  }

  change(key: string): void {
    this.#changed.add(key);
  }

  /** What the database has may be newer: publishing writes there how much of a state is in its row. */
  forgetAll(): void {
    if (this.#changed.size === 0) this.#states.clear();
  }

  delete(key: string): void {
    this.#states.delete(key);
    this.#changed.delete(key);
  }

  entries(): IterableIterator<[string, State]> {
    return this.#states.entries();
  }

  async load(tx: Queryable, schema: string, keys: Iterable<string>): Promise<void> {
    const missing = [...new Set(keys)].filter((key) => !this.#states.has(key));
    if (missing.length === 0) return;
    const { rows } = await tx.query<{ key: string; state: State }>(
      `SELECT key, state FROM trace_console.learned_items
       WHERE target_schema = $1 AND kind = $2 AND key = ANY ($3)`,
      [schema, this.kind, missing],
    );
    for (const { key, state } of rows) this.#states.set(key, state);
  }

  async flush(tx: Queryable, schema: string): Promise<void> {
    const changed = [...this.#changed].flatMap((key): [string, State][] => {
      const state = this.#states.get(key);
      return state === undefined ? [] : [[key, state]];
    });
    await writeItems(tx, schema, this.kind, changed);
    this.#changed.clear();
    if (this.#states.size > mostCached) this.#states.clear();
  }
}

export async function writeItems(
  tx: Queryable,
  schema: string,
  kind: ItemKind,
  items: readonly (readonly [key: string, state: unknown])[],
): Promise<void> {
  if (items.length === 0) return;
  await tx.query(
    `INSERT INTO trace_console.learned_items (target_schema, kind, key, state)
     SELECT $1, $2, i.key, i.state::jsonb FROM unnest($3::text[], $4::text[]) AS i (key, state)
     ON CONFLICT (target_schema, kind, key) DO UPDATE SET state = excluded.state, is_published = false`,
    [schema, kind, items.map(([key]) => key), items.map(([, state]) => JSON.stringify(state))],
  );
}

export async function loadErrors(tx: Queryable, schema: string, book: ErrorBook): Promise<void> {
  const { rows } = await tx.query<{ state: ErrorState }>(
    `SELECT state FROM trace_console.learned_items WHERE target_schema = $1 AND kind = 'error'
     ORDER BY (state->>'number')::bigint`,
    [schema],
  );
  for (const { state } of rows) book.load(state);
}

export async function flushErrors(tx: Queryable, schema: string, book: ErrorBook): Promise<void> {
  const items = [...book.changed].map((key) => [key, book.get(key)] as const);
  await writeItems(tx, schema, 'error', items);
  book.changed.clear();
}

const clustersAtOnce = 500;

/** The groups whose embeddings are of this model; others wait to be embedded anew. */
export async function loadClusters(
  tx: Queryable,
  schema: string,
  model: string,
  book: ClusterBook,
): Promise<void> {
  for (let after = ''; ;) {
    const { rows } = await tx.query<Omit<Cluster, 'id'> & { cluster: string; embedding: Buffer }>(
      `SELECT cluster, request, members, last_member AS "lastMember", embedding
       FROM trace_console.prompt_clusters
       WHERE target_schema = $1 AND model = $2 AND cluster > $3 ORDER BY cluster LIMIT $4`,
      [schema, model, after, clustersAtOnce],
    );
    for (const { cluster, embedding, ...rest } of rows) {
      book.load({ id: cluster, ...rest }, vectorOf(embedding));
    }
    const last = rows.at(-1);
    if (!last || rows.length < clustersAtOnce) return;
    after = last.cluster;
  }
}

export async function flushClusters(
  tx: Queryable,
  schema: string,
  model: string,
  book: ClusterBook,
): Promise<void> {
  await tx.query(
    'DELETE FROM trace_console.prompt_clusters WHERE target_schema = $1 AND cluster = ANY ($2)',
    [schema, [...book.forgotten]],
  );
  const clustersOf = (ids: Iterable<string>) => [...ids].flatMap((id) => book.get(id) ?? []);
  const begun = clustersOf(book.begun);
  await tx.query(
    `INSERT INTO trace_console.prompt_clusters (target_schema, cluster, request, model, embedding)
     SELECT $1, n.cluster, n.request, $2, n.embedding
     FROM unnest($3::text[], $4::text[], $5::bytea[]) AS n (cluster, request, embedding)`,
    [
      schema,
      model,
      begun.map(({ id }) => id),
      begun.map(({ request }) => request),
      begun.map(({ id }) => bytesOf(book.vectorOf(id))),
    ],
  );
  const changed = clustersOf(book.changed);
  await tx.query(
    `UPDATE trace_console.prompt_clusters AS c SET members = n.members, last_member = n.last_member
     FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS n (cluster, members, last_member)
     WHERE c.target_schema = $1 AND c.cluster = n.cluster`,
    [
      schema,
      changed.map(({ id }) => id),
      changed.map(({ members }) => members),
      changed.map(({ lastMember }) => lastMember),
    ],
  );
  book.stored();
}

export function bytesOf(vector: Float32Array = new Float32Array()): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** A copy: the bytes of a row need not lie where floats may. */
export function vectorOf(bytes: Buffer): Float32Array {
  const copy = new Float32Array(bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
  Buffer.from(copy.buffer).set(bytes);
  return copy;
}

const ledgerColumns = `
  l.correlation_id AS "correlationId", l.session_id AS "sessionId",
  (1000 * EXTRACT(epoch FROM l.started_at))::float8 AS "startedAt",
  (1000 * EXTRACT(epoch FROM l.ended_at))::float8 AS "endedAt",
  l.is_good AS "isGood", l.judged_by AS "judgedBy", l.pattern_key AS "patternKey",
  l.chain_key AS "chainKey", l.is_logged AS "isLogged", l.open_errors AS "openErrors"`;

/** The last turn of each of these sessions. */
export async function lastTurns(
  tx: Queryable,
  schema: string,
  sessions: readonly string[],
): Promise<KnownTurn[]> {
  const { rows } = await tx.query<KnownTurn>(
    `SELECT ${ledgerColumns}, left(t.prompt_text, 1000) AS prompt
     FROM unnest($2::uuid[]) AS s (id)
     CROSS JOIN LATERAL (
       SELECT * FROM trace_console.learned_traces AS known
       WHERE known.target_schema = $1 AND known.session_id = s.id
       ORDER BY known.ended_at DESC, known.correlation_id DESC LIMIT 1
     ) AS l
     LEFT JOIN execution_traces AS t ON t.correlation_id = l.correlation_id`,
    [schema, sessions],
  );
  return rows;
}

export async function writeLedger(
  tx: Queryable,
  schema: string,
  entries: readonly LedgerEntry[],
): Promise<void> {
  await tx.query(
    `INSERT INTO trace_console.learned_traces (target_schema, correlation_id, session_id, started_at, ended_at,
       is_good, judged_by, pattern_key, chain_key, is_logged, open_errors)
     SELECT $1, e."correlationId", e."sessionId", to_timestamp(e."startedAt" / 1000), to_timestamp(e."endedAt" / 1000),
       e."isGood", e."judgedBy", e."patternKey", e."chainKey", e."isLogged", e."openErrors"
     FROM jsonb_to_recordset($2::jsonb) AS e ("correlationId" uuid, "sessionId" uuid, "startedAt" float8,
       "endedAt" float8, "isGood" boolean, "judgedBy" text, "patternKey" text, "chainKey" text, "isLogged" boolean,
       "openErrors" text[])
     ON CONFLICT (target_schema, correlation_id) DO UPDATE
     SET is_good = excluded.is_good, judged_by = excluded.judged_by, open_errors = excluded.open_errors,
       pattern_key = excluded.pattern_key, chain_key = excluded.chain_key, is_logged = excluded.is_logged`,
    [schema, JSON.stringify(entries.map((entry) => ({ ...entry, prompt: undefined })))],
  );
}

export const feedbackAtOnce = 1_000;

type Heard = LedgerEntry & { said: boolean };

/**
 * What people said of turns that are in the ledger and that learning did not hear yet, the first of them; the ledger's entries.
 *
 * @param of only of these turns
 */
export async function unheardFeedback(
  tx: Queryable,
  schema: string,
  of: readonly string[] | null = null,
): Promise<Heard[]> {
  const { rows } = await tx.query<Heard>(
    `SELECT ${ledgerColumns}, f.is_good AS said
     FROM trace_console.trace_feedback AS f
     JOIN trace_console.learned_traces AS l USING (target_schema, correlation_id)
     WHERE f.target_schema = $1 AND NOT f.is_learned AND ($2::uuid[] IS NULL OR f.correlation_id = ANY ($2))
     ORDER BY l.ended_at, l.correlation_id LIMIT ${feedbackAtOnce}`,
    [schema, of],
  );
  return rows;
}

export async function feedbackFor(
  tx: Queryable,
  schema: string,
  turns: readonly string[],
): Promise<Map<string, boolean>> {
  const { rows } = await tx.query<Feedback>(
    `SELECT correlation_id AS "correlationId", is_good AS "isGood" FROM trace_console.trace_feedback
     WHERE target_schema = $1 AND correlation_id = ANY ($2)`,
    [schema, turns],
  );
  return new Map(rows.map(({ correlationId, isGood }) => [correlationId, isGood]));
}

/** What a person has changed since it was read is heard next time. */
export async function markHeard(
  tx: Queryable,
  schema: string,
  said: ReadonlyMap<string, boolean>,
): Promise<void> {
  if (said.size === 0) return;
  await tx.query(
    `UPDATE trace_console.trace_feedback AS f SET is_learned = true
     FROM unnest($2::uuid[], $3::boolean[]) AS heard (id, is_good)
     WHERE f.target_schema = $1 AND f.correlation_id = heard.id AND f.is_good = heard.is_good`,
    [schema, [...said.keys()], [...said.values()]],
  );
}

type Merged = { key: string; into: string };

/**
 * Adds up what is known of patterns that people merged since; gives what a pattern of these is called now. A merge waits
 * for the transaction of a batch, and a batch for a merge.
 */
export async function foldMerged(
  tx: Queryable,
  schema: string,
  patterns: ItemCache<PatternState>,
  keys: readonly (string | null)[],
): Promise<(key: string | null) => string | null> {
  if (!(await hasConsoleTable(tx, 'merged_patterns'))) return (key) => key;
  const { rows: merged } = await tx.query<Merged>(
    `UPDATE trace_console.merged_patterns SET is_learned = true
     WHERE target_schema = $1 AND NOT is_learned RETURNING pattern_key AS key, into_key AS into`,
    [schema],
  );
  await patterns.load(
    tx,
    schema,
    merged.flatMap(({ key, into }) => [key, into]),
  );
  for (const { key, into } of merged.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
    const from = patterns.get(key);
    if (!from) continue;
    const state = patterns.get(into);
    if (state) absorb(state, from);
    patterns.set(into, state ?? from);
    patterns.delete(key);
  }
  await tx.query(
    `DELETE FROM trace_console.learned_items
     WHERE target_schema = $1 AND kind = 'pattern' AND key = ANY ($2)`,
    [schema, merged.map(({ key }) => key)],
  );
  const { rows: names } = await tx.query<Merged>(
    `SELECT pattern_key AS key, into_key AS into FROM trace_console.merged_patterns
     WHERE target_schema = $1 AND pattern_key = ANY ($2)`,
    [schema, keys],
  );
  const now = new Map(names.map(({ key, into }) => [key, into]));
  return (key) => (key === null ? null : (now.get(key) ?? key));
}

/** `correlation pattern` of the uses that a router logged for these turns. */
export async function loggedUses(tx: Queryable, turns: readonly string[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ use: string }>(
    `SELECT DISTINCT correlation_id || ' ' || pattern_id AS use FROM pattern_usage_log
     WHERE correlation_id = ANY ($1) AND outcome IN ('success', 'failure')`,
    [turns],
  );
  return new Set(rows.map(({ use }) => use));
}
