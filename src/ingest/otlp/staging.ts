import type { Database } from '../../db/database.js';
import { ConsoleError, isRecordsFault } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import { hasConsoleTable, openConsoleTable } from '../../deploy/console-schema.js';
import { groupBy } from '../../core/values.js';
import type { AgentEvent } from '../events.js';
import { sessionId } from '../ids.js';
import { noRows, type Recorder, type Written } from '../recorder.js';
import { toJson } from '../rows.js';
import type { TelemetrySpan } from './decode.js';
import { traceEvents, type Recorded, type StagedSpan } from './trace-events.js';

/** A trace whose root has not come is written when it waits for longer than this (ms). */
const waitMs = 2_000;

/** More of a trace may come for so long after its last span (ms). */
const keptMs = 3_600_000;
const tidyEveryMs = 300_000;

/**
 * Traces that are written in one transaction: the embedded engine does one thing after the other, and a console beside it
 * waits; and the spans of each that are looked at.
 */
const tracesAtOnce = { server: 200, embedded: 10 };
const spansAtOnce = 20_000;

const mostTraces = ({ capabilities }: Database): number =>
  capabilities.embedded ? tracesAtOnce.embedded : tracesAtOnce.server;

/** Spans that came together, as they are kept: with what they were written as where that happens at once. */
class SpanBatch {
  readonly events: readonly AgentEvent[];
  readonly #rows: readonly {
    trace_id: string;
    span_id: string;
    span: TelemetrySpan;
    recorded?: Recorded | undefined;
  }[];

  private constructor(spans: readonly TelemetrySpan[], whole: readonly TelemetrySpan[][] = []) {
    const recorded = new Map<TelemetrySpan, Recorded | undefined>();
    this.events = whole.flatMap((trace) => {
      const told = traceEvents(trace.map((span) => ({ span })));
      for (const span of trace) recorded.set(span, told.recorded.get(span.spanId));
      return told.events;
    });
    this.#rows = spans.map((span) => ({
      trace_id: span.traceId,
      span_id: span.spanId,
      span,
      recorded: recorded.get(span),
    }));
  }

  /** All of them wait for the flusher. */
  static waiting(spans: readonly TelemetrySpan[]): SpanBatch {
    return new SpanBatch(distinct(spans));
  }

  /** Traces that are here with their root, and of which nothing was kept before, need not wait. */
  static async of(database: Database, spans: readonly TelemetrySpan[]): Promise<SpanBatch> {
    const all = distinct(spans);
    const withRoot = [...groupBy(all, ({ traceId }) => traceId)]
      .filter(([, trace]) => trace.some(({ parentSpanId }) => parentSpanId === undefined))
      .slice(0, mostTraces(database));
    const known = await knownTraces(
      database,
      withRoot.map(([id]) => id),
    );
    return new SpanBatch(
      all,
      withRoot.flatMap(([id, trace]) => (known.has(id) ? [] : [trace])),
    );
  }

  /** @throws ConsoleError `privilege_missing` */
  async keep(tx: Queryable, schema: string): Promise<void> {
    if (this.#rows.length === 0) return;
    if (!(await openConsoleTable(tx, 'telemetry_spans'))) {
      throw new ConsoleError('privilege_missing', 'The role may not write telemetry_spans.', {
        hint: 'Spans wait in trace_console.telemetry_spans. Grant CREATE on the database once, or writing on the table.',
      });
    }
    // Where another collector has brought more of the trace meanwhile, the flusher looks at all of it.
    await tx.query(
      `INSERT INTO trace_console.telemetry_spans (target_schema, trace_id, span_id, span, recorded)
       SELECT $1, trace_id, span_id, span, CASE WHEN recorded IS NOT NULL AND (
           SELECT s.trace_id FROM trace_console.telemetry_spans AS s
           WHERE s.target_schema = $1 AND s.trace_id = r.trace_id LIMIT 1) IS NULL THEN recorded END
       FROM json_to_recordset($2::json) AS r (trace_id text, span_id text, span jsonb, recorded jsonb)
       ON CONFLICT (target_schema, trace_id, span_id) DO NOTHING`,
      [schema, toJson(this.#rows)],
    );
  }
}

/**
 * Records events, and takes in spans that came with them: in one transaction, `also` in it.
 *
 * @throws ConsoleError, and nothing of it is written
 */
export async function recordWithSpans(
  { database, recorder }: { database: Database; recorder: Recorder },
  { events, spans }: { events: readonly AgentEvent[]; spans: readonly TelemetrySpan[] },
  also?: (tx: Queryable) => Promise<void>,
): Promise<Written> {
  const { schema } = database.capabilities;
  const record = (batch: SpanBatch) =>
    recorder.record([...events, ...batch.events], {
      async inTransaction(tx) {
        await also?.(tx);
        await batch.keep(tx, schema);
      },
    });
  const batch = await SpanBatch.of(database, spans);
  try {
    return await record(batch);
  } catch (error) {
    if (batch.events.length === 0 || !isRecordsFault(error)) throw error;
    // The database refuses the rows of one of these traces: the flusher finds out which.
    return record(SpanBatch.waiting(spans));
  }
}

/** Senders that got no answer send again. */
function distinct(spans: readonly TelemetrySpan[]): TelemetrySpan[] {
  return [...new Map(spans.map((span) => [`${span.traceId} ${span.spanId}`, span])).values()];
}

/** Those of some traces of which spans are kept. */
async function knownTraces(database: Database, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  return database.transaction({ readOnly: true, purpose: 'ingest' }, async (tx) => {
    if (!(await hasConsoleTable(tx, 'telemetry_spans'))) return new Set();
    const { rows } = await tx.query<{ id: string }>(
      `SELECT t.id FROM unnest($2::text[]) AS t (id)
       WHERE (SELECT s.trace_id FROM trace_console.telemetry_spans AS s
              WHERE s.target_schema = $1 AND s.trace_id = t.id LIMIT 1) IS NOT NULL`,
      [database.capabilities.schema, ids],
    );
    return new Set(rows.map(({ id }) => id));
  });
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
    const traces = await this.#ready();
    if (traces.size === 0) return undefined;
    try {
      return await this.#write(traces);
    } catch (error) {
      if (!isRecordsFault(error)) throw error;
      return this.#writeOneByOne(traces);
    }
  }

  #write(traces: ReadonlyMap<string, StagedSpan[]>): Promise<Written> {
    const written = [...traces.values()].map(traceEvents);
    const recorded = [...traces.keys()].flatMap((trace, index) =>
      [...(written[index]?.recorded ?? [])].map(([span, as]) => ({ trace, span, recorded: as })),
    );
    const { schema } = this.#database.capabilities;
    return this.#recorder.record(
      written.flatMap(({ events }) => events),
      {
        async inTransaction(tx) {
          await markRecorded(tx, schema, recorded);
          await removeSessions(
            tx,
            schema,
            written.flatMap(({ replaced }) => replaced ?? []),
          );
        },
      },
    );
  }

  /** The database refuses the rows of one of these traces: it is marked with the reason, and the others are written. */
  async #writeOneByOne(traces: ReadonlyMap<string, StagedSpan[]>): Promise<Written> {
    const sum: Written = { rows: noRows(), unchanged: 0 };
    for (const [trace, spans] of traces) {
      try {
        const { rows, unchanged } = await this.#write(new Map([[trace, spans]]));
        sum.unchanged += unchanged;
        for (const table of Object.keys(rows) as (keyof Written['rows'])[]) {
          sum.rows[table] += rows[table];
        }
      } catch (error) {
        if (!isRecordsFault(error)) throw error;
        await this.#refuse(trace, spans, error.message);
      }
    }
    return sum;
  }

  #refuse(trace: string, spans: readonly StagedSpan[], refused: string): Promise<void> {
    const { schema } = this.#database.capabilities;
    const marks = spans
      .filter(({ recorded }) => recorded === undefined)
      .map(({ span }) => ({ trace, span: span.spanId, recorded: { refused } }));
    return this.#database.transaction({ purpose: 'ingest' }, (tx) =>
      markRecorded(tx, schema, marks),
    );
  }

  /** The spans of traces with something new, of which nothing is waited for. */
  #ready(): Promise<Map<string, StagedSpan[]>> {
    const { schema } = this.#database.capabilities;
    const most = mostTraces(this.#database);
    return this.#database.transaction({ readOnly: true, purpose: 'ingest' }, async (tx) => {
      const traces = new Map<string, StagedSpan[]>();
      if (!(await hasConsoleTable(tx, 'telemetry_spans'))) return traces;
      const { rows: ready } = await tx.query<{ trace_id: string }>(
        `SELECT p.trace_id FROM trace_console.telemetry_spans AS p
         WHERE p.target_schema = $1 AND p.recorded IS NULL
         GROUP BY p.trace_id
         HAVING min(p.received_at) <= clock_timestamp() - $2::float8 * interval '1 ms'
           OR EXISTS (SELECT FROM trace_console.telemetry_spans AS r
                      WHERE r.target_schema = $1 AND r.trace_id = p.trace_id AND NOT r.span ? 'parentSpanId')
         ORDER BY min(p.received_at) LIMIT $3`,
        [schema, this.#waitMs, most],
      );
      const { rows } = await tx.query<{
        trace: string;
        span: TelemetrySpan;
        recorded: Recorded | null;
      }>(
        `SELECT t.id AS trace, s.span, s.recorded
         FROM unnest($2::text[]) AS t (id) CROSS JOIN LATERAL (
           SELECT span, recorded FROM trace_console.telemetry_spans
           WHERE target_schema = $1 AND trace_id = t.id
           ORDER BY recorded IS NOT NULL, span_id LIMIT $3) AS s`,
        [schema, ready.map(({ trace_id: id }) => id), spansAtOnce],
      );
      for (const { trace_id: id } of ready) traces.set(id, []);
      for (const { trace, span, recorded } of rows) {
        traces.get(trace)?.push({ span, ...(recorded === null ? {} : { recorded }) });
      }
      return traces;
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

async function markRecorded(
  tx: Queryable,
  schema: string,
  recorded: readonly { trace: string; span: string; recorded: Recorded | { refused: string } }[],
): Promise<void> {
  await tx.query(
    `UPDATE trace_console.telemetry_spans AS s SET recorded = r.recorded
     FROM json_to_recordset($2::json) AS r (trace text, span text, recorded jsonb)
     WHERE s.target_schema = $1 AND s.trace_id = r.trace AND s.span_id = r.span`,
    [schema, JSON.stringify(recorded)],
  );
}

/** The rows of traces that were written before their session was known: they are there under its name now. */
async function removeSessions(
  tx: Queryable,
  schema: string,
  sessions: readonly string[],
): Promise<void> {
  if (sessions.length === 0) return;
  const ids = sessions.map(sessionId);
  await tx.query('DELETE FROM execution_traces WHERE session_id = ANY($1::uuid[])', [ids]);
  await tx.query(
    `DELETE FROM trace_console.agent_sessions WHERE target_schema = $1 AND session_id = ANY($2::uuid[])`,
    [schema, ids],
  );
}
