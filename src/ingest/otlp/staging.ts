import { randomUUID } from 'node:crypto';
import type { Database } from '../../db/database.js';
import { ConsoleError, isRecordsFault } from '../../db/errors.js';
import type { Queryable, Transaction } from '../../db/queryable.js';
import { hasConsoleTable, openConsoleTable } from '../../deploy/console-schema.js';
import type { RowCopier } from '../copy-rows.js';
import type { AgentEvent } from '../events.js';
import type { CleanEvent } from '../patches.js';
import { noRows, type Recorder, type Written } from '../recorder.js';
import { addWritten } from '../row-store.js';
import { toJson, type ColumnType } from '../rows.js';
import type { CopiedRow, TelemetrySpan } from './decode.js';
import {
  findStored,
  keepFigures,
  KeptTrace,
  markRecorded,
  removeReplaced,
  spansAtOnce,
  tracesOf,
  tracesWithSpans,
  withoutOwn,
  type Figure,
  type KeptRow,
  type Recorded,
} from './kept-trace.js';
import { traceEvents } from './trace-events.js';

/** A trace whose root has not come is written when it waits for longer than this (ms). */
const waitMs = 2_000;

/** More of a trace may come for so long after its last span (ms). */
const keptMs = 3_600_000;
const tidyEveryMs = 300_000;

/**
 * Traces that are written in one transaction: the embedded engine does one thing after the other, and a console beside it
 * waits.
 */
const tracesAtOnce = { server: 200, embedded: 10 };

const mostTraces = ({ capabilities }: Database): number =>
  capabilities.embedded ? tracesAtOnce.embedded : tracesAtOnce.server;

/** Spans of one trace that came together are one row, which costs a third of a row each; so many of them at most. */
const spansInRow = 200;

/** A row of `telemetry_spans`: its spans, and as what each was written; null: not yet. `span_id` tells rows apart. */
type SpanRow = {
  target_schema: string;
  trace_id: string;
  span_id: string;
  span: readonly TelemetrySpan[];
  recorded: readonly (Recorded | null)[] | null;
};

const spanColumns: readonly [name: keyof SpanRow, type: ColumnType][] = [
  ['target_schema', 'text'],
  ['trace_id', 'text'],
  ['span_id', 'text'],
  ['span', 'jsonb'],
  ['recorded', 'jsonb'],
];

/** Databases where the table was seen; looked for again where a transaction has failed. */
const opened = new WeakSet<Database>();

/** Somebody may have dropped the table: what failed looks for it the next time. */
async function lookingAgain<Of>(database: Database, work: () => Promise<Of>): Promise<Of> {
  try {
    return await work();
  } catch (error) {
    opened.delete(database);
    throw error;
  }
}

/** Spans that came together, as they are kept: with what they were written as where that happens at once. */
class SpanBatch {
  readonly events: readonly AgentEvent[];
  readonly copies: readonly CopiedRow[];
  readonly #rows: readonly SpanRow[];
  readonly #whole: readonly string[];

  private constructor(
    schema: string,
    traces: ReadonlyMap<string, readonly TelemetrySpan[]>,
    isWhole: (trace: string) => boolean,
  ) {
    const [events, rows, whole]: [AgentEvent[], SpanRow[], string[]] = [[], [], []];
    const copies: CopiedRow[] = [];
    for (const [trace, spans] of traces) {
      const told = isWhole(trace) ? traceEvents(spans.map((span) => ({ span }))) : undefined;
      if (told) {
        for (const event of told.events) events.push(event);
        for (const copy of told.copies) copies.push(copy);
        whole.push(trace);
      }
      for (let start = 0; start < spans.length; start += spansInRow) {
        const part = spans.slice(start, start + spansInRow);
        rows.push({
          target_schema: schema,
          trace_id: trace,
          span_id: randomUUID(),
          span: part,
          recorded: told ? part.map(({ spanId }) => told.recorded.get(spanId) ?? null) : null,
        });
      }
    }
    this.events = events;
    this.copies = copies;
    this.#rows = rows;
    this.#whole = whole;
  }

  /** All of them wait for the flusher. */
  static waiting({ capabilities }: Database, spans: readonly TelemetrySpan[]): SpanBatch {
    return new SpanBatch(capabilities.schema, tracesOf(spans), () => false);
  }

  /**
   * Traces that are here with their root, and of which nothing was kept before, need not wait.
   *
   * @param kept traces of which spans are just being kept
   */
  static async of(
    database: Database,
    spans: readonly TelemetrySpan[],
    kept: ReadonlySet<string>,
  ): Promise<SpanBatch> {
    const traces = tracesOf(spans);
    const withRoot = [...traces.keys()]
      .filter((id) => traces.get(id)?.some(({ parentSpanId }) => parentSpanId === undefined))
      .filter((id) => !kept.has(id))
      .slice(0, mostTraces(database));
    const whole = new Set(withRoot);
    for (const id of await knownTraces(database, withRoot)) whole.delete(id);
    return new SpanBatch(database.capabilities.schema, traces, (trace) => whole.has(trace));
  }

  get traces(): ReadonlySet<string> {
    return new Set(this.#rows.map(({ trace_id: id }) => id));
  }

  /** @throws ConsoleError `privilege_missing`; and TracesAreShared */
  async keep(tx: Transaction, database: Database, copier: RowCopier | undefined): Promise<void> {
    if (this.#rows.length === 0) return;
    if (!opened.has(database) && !(await openConsoleTable(tx, 'telemetry_spans'))) {
      throw new ConsoleError('privilege_missing', 'The role may not write telemetry_spans.', {
        hint: 'Spans wait in trace_console.telemetry_spans. Grant CREATE on the database once, or writing on the table.',
      });
    }
    // Whoever keeps some of them holds their sessions until the end of the transaction, as this one does.
    const others = await tracesWithSpans(tx, database.capabilities.schema, this.#whole);
    if (others.length > 0) throw new TracesAreShared();
    if (await copier?.copy(tx, 'trace_console.telemetry_spans', spanColumns, this.#rows)) return;
    await tx.query(
      `INSERT INTO trace_console.telemetry_spans (target_schema, trace_id, span_id, span, recorded)
       SELECT target_schema, trace_id, span_id, span, recorded
       FROM json_to_recordset($1::json) AS r (target_schema name, trace_id text, span_id text, span jsonb, recorded jsonb)`,
      [toJson(this.#rows)],
    );
  }
}

class TracesAreShared extends Error {
  override message = 'Another collector has kept spans of these traces meanwhile.';
}

type Target = { database: Database; recorder: Recorder };

/** Events, and spans that came with them, ready to be written. */
export type ToRecord = {
  readonly events: readonly CleanEvent[];
  readonly ofSpans: readonly CleanEvent[];
  readonly batch: SpanBatch;
  readonly spans: readonly TelemetrySpan[];
  readonly figures: readonly Figure[];
};

type Told = Pick<ToRecord, 'spans'> & {
  events: readonly AgentEvent[];
  figures?: readonly Figure[];
};

/**
 * What can be done ahead of the transaction that writes.
 *
 * @param kept traces of which spans are being written by another transaction
 * @param breathe called again and again: lets others have the processor
 * @throws ConsoleError
 */
export async function prepareWithSpans(
  { database, recorder }: Target,
  { events, spans: all, figures = [] }: Told,
  kept: ReadonlySet<string> = new Set(),
  breathe: () => Promise<void> = () => Promise.resolve(),
): Promise<ToRecord> {
  const clean = async (told: readonly AgentEvent[]) => {
    const list: CleanEvent[] = [];
    for (const event of told) {
      list.push(recorder.clean(event));
      await breathe();
    }
    return list;
  };
  const spans = await withoutOwn(database, all);
  const batch = await SpanBatch.of(database, spans, kept);
  return { events: await clean(events), ofSpans: await clean(batch.events), batch, spans, figures };
}

/**
 * Records events, and takes in spans that came with them: in one transaction, `also` in it.
 *
 * @throws ConsoleError, and nothing of it is written
 */
export async function recordPrepared(
  { database, recorder }: Target,
  { events, ofSpans, batch, spans, figures }: ToRecord,
  also?: (tx: Queryable) => Promise<void>,
): Promise<Written> {
  const record = async (of: SpanBatch, all: readonly CleanEvent[]) => {
    const written = await lookingAgain(database, () =>
      recorder.recordClean(all, {
        copies: of.copies,
        async inTransaction(tx, copier) {
          await also?.(tx);
          await keepFigures(tx, database.capabilities.schema, figures);
          await of.keep(tx, database, copier);
        },
      }),
    );
    if (spans.length > 0) opened.add(database);
    return written;
  };
  try {
    return await record(batch, [...events, ...ofSpans]);
  } catch (error) {
    const isOfSpans = isRecordsFault(error) || isShared(error);
    if (ofSpans.length + batch.copies.length === 0 || !isOfSpans) throw error;
    // The database refuses the rows of one of these traces: the flusher finds out which. It sees all of a shared one, too.
    return record(SpanBatch.waiting(database, spans), events);
  }
}

const isShared = (error: unknown): boolean =>
  error instanceof ConsoleError && error.cause instanceof TracesAreShared;

/** Both steps. */
export async function recordWithSpans(target: Target, told: Told): Promise<Written> {
  const prepared = await prepareWithSpans(target, told);
  const written = await recordPrepared(target, prepared);
  // Spans that were exported of rows here.
  written.unchanged += told.spans.length - prepared.spans.length;
  return written;
}

/** Those of some traces of which spans are kept. */
async function knownTraces(database: Database, ids: readonly string[]): Promise<readonly string[]> {
  if (ids.length === 0) return [];
  return lookingAgain(database, () =>
    database.transaction({ readOnly: true, purpose: 'ingest' }, async (tx) => {
      if (!opened.has(database) && !(await hasConsoleTable(tx, 'telemetry_spans'))) return [];
      return tracesWithSpans(tx, database.capabilities.schema, ids);
    }),
  );
}

/** Writes the traces of spans that were kept, once their roots have come. */
export class SpanFlusher {
  readonly #database: Database;
  readonly #recorder: Recorder;
  readonly #waitMs: number;
  #tidiedMs = Date.now();

  /** @param waits false: what is there is written at once, whether more may come or not */
  constructor(database: Database, recorder: Recorder, { waits = true } = {}) {
    this.#database = database;
    this.#recorder = recorder;
    this.#waitMs = waits ? waitMs : 0;
  }

  /**
   * @returns what was written; undefined when nothing was there to write
   * @throws ConsoleError when the database does not take it now; it is tried again then
   */
  async round(): Promise<Written | undefined> {
    await this.#tidyAtTimes();
    const traces = await lookingAgain(this.#database, () => this.#ready());
    if (traces.length === 0) return undefined;
    try {
      return await this.#write(traces);
    } catch (error) {
      if (!isRecordsFault(error)) throw error;
      return this.#writeOneByOne(traces);
    }
  }

  async #write(traces: readonly KeptTrace[]): Promise<Written> {
    const written = traces.map((trace) => ({
      trace,
      told: traceEvents(trace.spans, trace.isCut, trace.stored),
    }));
    const marks = written.flatMap(({ trace, told }) => trace.marks(told.recorded));
    const database = this.#database;
    const rows = await this.#recorder.record(
      written.flatMap(({ told }) => told.events),
      {
        retracted: written.flatMap(({ told }) => told.retracted),
        copies: written.flatMap(({ told }) => told.copies),
        async inTransaction(tx) {
          await markRecorded(tx, database.capabilities.schema, marks);
          await removeReplaced(
            tx,
            database,
            written.flatMap(({ told }) => told.replaced ?? []),
          );
        },
      },
    );
    for (const { trace, told } of written) rows.unchanged += trace.rowsAgain(told.recorded);
    return rows;
  }

  /** The database refuses the rows of one of these traces: it is marked with the reason, and the others are written. */
  async #writeOneByOne(traces: readonly KeptTrace[]): Promise<Written> {
    const sum: Written = { rows: noRows(), unchanged: 0 };
    for (const trace of traces) {
      try {
        addWritten(sum, await this.#write([trace]));
      } catch (error) {
        if (!isRecordsFault(error)) throw error;
        const { schema } = this.#database.capabilities;
        const marks = trace.refuse(error.message);
        await this.#database.transaction({ purpose: 'ingest' }, (tx) =>
          markRecorded(tx, schema, marks),
        );
      }
    }
    return sum;
  }

  /** Traces with something new, of which nothing is waited for. */
  #ready(): Promise<KeptTrace[]> {
    const { schema } = this.#database.capabilities;
    const most = mostTraces(this.#database);
    return this.#database.transaction({ readOnly: true, purpose: 'ingest' }, async (tx) => {
      if (!opened.has(this.#database) && !(await hasConsoleTable(tx, 'telemetry_spans'))) return [];
      const { rows: ready } = await tx.query<{ trace_id: string }>(
        `SELECT p.trace_id FROM trace_console.telemetry_spans AS p
         WHERE p.target_schema = $1 AND p.recorded IS NULL
         GROUP BY p.trace_id
         HAVING min(p.received_at) <= clock_timestamp() - $2::float8 * interval '1 ms'
           OR EXISTS (SELECT FROM trace_console.telemetry_spans AS r
                      WHERE r.target_schema = $1 AND r.trace_id = p.trace_id
                        AND r.span @? '$[*] ? (!exists(@.parentSpanId))')
         ORDER BY min(p.received_at) LIMIT $3`,
        [schema, this.#waitMs, most],
      );
      if (ready.length === 0) return [];
      const { rows } = await tx.query<KeptRow>(
        `SELECT t.id AS trace, s.key, s.span, s.recorded
         FROM unnest($2::text[]) AS t (id) CROSS JOIN LATERAL (
           SELECT span_id AS key, span, recorded, spans, sum(spans) OVER (
             ORDER BY recorded IS NOT NULL, received_at, span_id ROWS UNBOUNDED PRECEDING) AS up_to
           FROM trace_console.telemetry_spans CROSS JOIN LATERAL (SELECT
             CASE jsonb_typeof(span) WHEN 'array' THEN jsonb_array_length(span) ELSE 1 END) AS n (spans)
           WHERE target_schema = $1 AND trace_id = t.id) AS s
         WHERE s.up_to - s.spans < $3`,
        [schema, ready.map(({ trace_id: id }) => id), spansAtOnce],
      );
      const traces = new Map<string, KeptTrace>();
      for (const row of rows) {
        const trace = traces.get(row.trace) ?? new KeptTrace();
        traces.set(row.trace, trace);
        trace.add(row);
      }
      await findStored(tx, this.#database, traces);
      return [...traces.values()];
    });
  }

  async #tidyAtTimes(): Promise<void> {
    if (Date.now() - this.#tidiedMs < tidyEveryMs) return;
    this.#tidiedMs = Date.now();
    const { schema } = this.#database.capabilities;
    await this.#database.transaction({ purpose: 'ingest' }, async (tx) => {
      if (!(await hasConsoleTable(tx, 'telemetry_spans'))) return;
      await tx.query(
        `DELETE FROM trace_console.telemetry_spans AS s WHERE target_schema = $1
           AND received_at < clock_timestamp() - $2::float8 * interval '1 ms'
           AND NOT EXISTS (SELECT FROM trace_console.telemetry_spans AS later
             WHERE later.target_schema = $1 AND later.trace_id = s.trace_id
               AND (later.recorded IS NULL
                 OR later.received_at >= clock_timestamp() - $2::float8 * interval '1 ms'))`,
        [schema, keptMs],
      );
    });
  }
}
