import type { Database } from '../db/database.js';
import type { Queryable, Transaction } from '../db/queryable.js';
import { hasConsoleTable } from '../deploy/console-schema.js';
import { costOf, type Cost, type Prices } from './prices.js';
import { noRows, RowStore, type Written } from './row-store.js';
import { loadRows, type CallRow } from './rows.js';
import { lockSessions } from './session.js';
import { toMicros, withSums } from './settle.js';

/** Traces of one transaction. */
const tracesAtOnce = 200;

const limits = { statementTimeoutMs: 60_000, lockTimeoutMs: 15_000 };

/** What the calls of one model cost. */
export type RepricedModel = {
  model: string;
  calls: number;
  /** Calls whose cost is another one now. */
  changed: number;
  /** US dollars, before and now; null: of none of them a cost is known. */
  oldUsd: number | null;
  newUsd: number | null;
  /** Calls without a cost, before and now. */
  unpriced: number;
};

export type Repriced = {
  traces: number;
  calls: number;
  changed: number;
  oldUsd: number | null;
  newUsd: number | null;
  unpriced: number;
  /** Those that cost most first. */
  models: RepricedModel[];
  written: Written['rows'];
};

export type RepriceOptions = {
  prices: Prices;
  /** Milliseconds since 1970: traces that began since then. */
  since: number;
  /** Reads and counts only. */
  dryRun?: boolean;
  signal?: AbortSignal | undefined;
};

/** Where a page of traces ends; the time as the server writes it, which is exact. */
type Position = { id: string; at: string };

type PageRow = Position & { session: string };

/**
 * Finds the cost of stored model calls again, by today's table of prices and the user's own, and the sums of their
 * traces. A cost that the program reported stays, and so does one where no price is known any more. Yields the number of
 * traces that were looked at.
 *
 * @throws ConsoleError
 */
export async function* reprice(
  database: Database,
  { prices, since, dryRun = false, signal }: RepriceOptions,
): AsyncGenerator<number, Repriced> {
  const { schema } = database.capabilities;
  const tally = new Tally();
  let after: Position | undefined;
  while (signal?.aborted !== true) {
    const from: Position | undefined = after;
    const page = await database.transaction(
      { ...limits, readOnly: dryRun, purpose: 'ingest' },
      async (tx) => {
        const found = await readPage(tx, { schema, since, from });
        await repricePage(tx, found, { prices, tally, dryRun });
        return found;
      },
    );
    after = page.at(-1);
    if (after === undefined) break;
    tally.traces += page.length;
    yield tally.traces;
  }
  return tally.result();
}

async function repricePage(
  tx: Transaction,
  page: readonly PageRow[],
  { prices, tally, dryRun }: { prices: Prices; tally: Tally; dryRun: boolean },
): Promise<void> {
  const sessions = page.map(({ session }) => session);
  // The recorder must not settle these traces meanwhile.
  if (!dryRun) await lockSessions(tx, sessions);
  const ids = page.map(({ id }) => id);
  const store = new RowStore(tx);
  await store.load('execution_traces', ids);
  const calls = new Map<string, CallRow[]>();
  const changed = new Set<string>();
  for (const call of await loadRows(tx, 'endpoint_calls', ids, 'trace_id')) {
    const next = tally.count(call, await costOf(call, prices));
    store.keep('endpoint_calls', call);
    store.rows.endpoint_calls.set(call.id, next);
    if (next !== call) changed.add(call.trace_id);
    calls.set(call.trace_id, [...(calls.get(call.trace_id) ?? []), next]);
  }
  for (const id of changed) {
    const trace = store.rows.execution_traces.get(id);
    const mine = (calls.get(id) ?? []).toSorted(
      (a, b) => a.started_at - b.started_at || (a.id < b.id ? -1 : 1),
    );
    if (trace) store.rows.execution_traces.set(id, withSums(trace, mine));
  }
  if (!dryRun) tally.add(await store.write());
}

/** The next traces of sessions of agents' programs, in order of their beginnings. */
async function readPage(
  tx: Queryable,
  { schema, since, from }: { schema: string; since: number; from: Position | undefined },
): Promise<PageRow[]> {
  if (!(await hasConsoleTable(tx, 'agent_sessions'))) return [];
  const { rows } = await tx.query<PageRow>(
    `SELECT t.id, t.session_id AS session, t.started_at::text AS at
     FROM execution_traces AS t
     WHERE t.started_at >= coalesce($2::timestamptz, to_timestamp($3::float8 / 1000))
       AND ($2::timestamptz IS NULL OR (t.started_at, t.id) > ($2::timestamptz, $4::uuid))
       AND EXISTS (SELECT FROM trace_console.agent_sessions AS s
                   WHERE s.target_schema = $1 AND s.session_id = t.session_id)
     ORDER BY t.started_at, t.id LIMIT ${tracesAtOnce}`,
    [schema, from?.at ?? null, since, from?.id ?? null],
  );
  return rows;
}

class Tally {
  traces = 0;
  readonly #models = new Map<string, RepricedModel>();
  readonly #written = noRows();

  /** @returns the call with the cost that it has now; the same one when nothing changes */
  count(call: CallRow, found: Cost | undefined): CallRow {
    const old = call.context.cost as Partial<Cost> | undefined;
    const oldUsd = typeof old?.usd === 'number' ? old.usd : null;
    const isChanged = found !== undefined && (found.usd !== oldUsd || found.source !== old?.source);
    const name = typeof call.context.model === 'string' ? call.context.model : 'unknown';
    const model = this.#models.get(name) ?? {
      model: name,
      calls: 0,
      changed: 0,
      oldUsd: null,
      newUsd: null,
      unpriced: 0,
    };
    this.#models.set(name, model);
    model.calls += 1;
    if (isChanged) model.changed += 1;
    if (oldUsd === null && found === undefined) model.unpriced += 1;
    model.oldUsd = sum(model.oldUsd, oldUsd);
    model.newUsd = sum(model.newUsd, found?.usd ?? oldUsd);
    return isChanged ? { ...call, context: { ...call.context, cost: found } } : call;
  }

  add({ rows }: Written): void {
    for (const table of ['execution_traces', 'endpoint_calls'] as const)
      this.#written[table] += rows[table];
  }

  result(): Repriced {
    const models = [...this.#models.values()].toSorted(
      (a, b) => (b.newUsd ?? -1) - (a.newUsd ?? -1) || (a.model < b.model ? -1 : 1),
    );
    const total = { calls: 0, changed: 0, unpriced: 0 };
    let [oldUsd, newUsd]: (number | null)[] = [null, null];
    for (const each of models) {
      total.calls += each.calls;
      total.changed += each.changed;
      total.unpriced += each.unpriced;
      oldUsd = sum(oldUsd, each.oldUsd);
      newUsd = sum(newUsd, each.newUsd);
    }
    const rounded = (usd: number | null | undefined) =>
      usd === null || usd === undefined ? null : toMicros(usd);
    return {
      traces: this.traces,
      ...total,
      oldUsd: rounded(oldUsd),
      newUsd: rounded(newUsd),
      models: models.map((each) => ({
        ...each,
        oldUsd: rounded(each.oldUsd),
        newUsd: rounded(each.newUsd),
      })),
      written: this.#written,
    };
  }
}

/** Of two sums, of which one may not be known. */
function sum(one: number | null | undefined, other: number | null): number | null {
  return other === null ? (one ?? null) : (one ?? 0) + other;
}
