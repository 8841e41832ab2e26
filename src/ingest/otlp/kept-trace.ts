import { otlpTag, tracesTables } from '../../core/tables.js';
import { byOwnKey, groupBy } from '../../core/values.js';
import type { Database } from '../../db/database.js';
import type { Queryable, Transaction } from '../../db/queryable.js';
import { hasConsoleTable, openConsoleTable } from '../../deploy/console-schema.js';
import { mostInSlot, ofFigures } from '../events.js';
import {
  decisionId,
  happeningId,
  modelCallId,
  sessionId,
  sessionName,
  subagentId,
  toolCallId,
  turnId,
} from '../ids.js';
import { mayDelete, type RetractedRow } from '../row-store.js';
import { toJson } from '../rows.js';
import { lockSessions } from '../session.js';
import type { TelemetrySpan } from './decode.js';
import { messageOf, roleOf, toolUseOf, type SpanRole } from './span-facts.js';

/** How a span was written, and what it belongs to: the id of a span, or `''` for the turn. `isLate`: of the trace nothing else was kept. */
export type Recorded = { session: string; role: Role; owner: string; isLate?: true };

/**
 * `turn`: the trace's root. `group`: another span with spans below it, a trace of its own as an agent is. `repeated`: a tool's
 * span that tells what another one does. `copy`: a row that a console has exported.
 */
export type Role = SpanRole | 'turn' | 'group' | 'repeated' | 'copy';

/** `earlier`: the span as it was written, without the end that it has now. */
export type StagedSpan = {
  span: TelemetrySpan;
  recorded?: Recorded | undefined;
  earlier?: TelemetrySpan | undefined;
};
/** A row as it is read. One of an earlier version holds one span, and what that was written as. */
export type KeptRow = {
  trace: string;
  key: string;
  span: TelemetrySpan | readonly TelemetrySpan[];
  recorded: Recorded | { refused: string } | readonly (Recorded | null)[] | null;
};

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** Spans of a trace that are read at a time: those that are not written yet, and the oldest of the others. */
export const spansAtOnce = 20_000;

/** The spans of a trace that are known, each once, and the rows that they are kept in. */
export class KeptTrace {
  readonly #rows: KeptRow[] = [];
  /** The session under which it was written, when what was written is not kept any more. */
  stored: string | undefined;

  add(row: KeptRow): void {
    this.#rows.push(row);
  }

  /** So many spans were read that there may be more, written before. */
  get isCut(): boolean {
    return this.#rows.reduce((sum, row) => sum + spansOf(row).length, 0) >= spansAtOnce;
  }

  /** Those that were written first: a sender may have sent a span again. One that had no end then may have it now. */
  get spans(): StagedSpan[] {
    const spans = new Map<string, StagedSpan>();
    for (const row of this.#sorted()) {
      const recorded = isList(row.recorded) ? row.recorded : [row.recorded];
      for (const [index, span] of spansOf(row).entries()) {
        const as = recorded[index] ?? undefined;
        const known = spans.get(span.spanId);
        if (known === undefined)
          spans.set(span.spanId, { span, recorded: as && 'owner' in as ? as : undefined });
        else if (isEndOf(span, known.span))
          // What is written already was written with its end.
          spans.set(span.spanId, {
            span,
            recorded: known.recorded,
            earlier: row.recorded === null ? known.span : undefined,
          });
      }
    }
    return [...spans.values()];
  }

  /** What changes in the rows when their spans are written. */
  marks(now: ReadonlyMap<string, Recorded>): Mark[] {
    const staged = new Map(this.spans.map((each) => [each.span.spanId, each]));
    return this.#sorted().flatMap((row): Mark[] => {
      const spans = spansOf(row);
      const isNew = spans.some((span) => staged.get(span.spanId)?.span === span);
      const { trace, key } = row;
      if (row.recorded === null && !isNew) return [{ trace, key, recorded: null }];
      if (row.recorded !== null && !spans.some(({ spanId }) => now.has(spanId))) return [];
      const as = spans.map(({ spanId: id }) => now.get(id) ?? staged.get(id)?.recorded ?? null);
      return [{ trace, key, recorded: isList(row.span) ? as : (as[0] ?? []) }];
    });
  }

  /**
   * How many rows those of its spans are that came again and tell nothing new.
   *
   * @param now what is told anew: its rows are counted where they are written
   */
  rowsAgain(now: ReadonlyMap<string, Recorded>): number {
    const staged = new Map(this.spans.map((each) => [each.span.spanId, each]));
    const again = new Map<string, readonly [TelemetrySpan, Role]>();
    for (const row of this.#rows.filter(({ recorded }) => recorded === null)) {
      for (const { spanId } of spansOf(row)) {
        const { span, recorded } = staged.get(spanId) ?? {};
        if (span && recorded && !now.has(spanId)) again.set(spanId, [span, recorded.role]);
      }
    }
    const roles = [...again.values()];
    const isOfTrace = now.size === 0 && roles.some(([, role]) => role !== 'copy');
    return roles.reduce((sum, [span, role]) => sum + rowCount(span, role), isOfTrace ? 1 : 0);
  }

  get isNew(): boolean {
    return this.#rows.every(({ recorded }) => recorded === null);
  }

  refuse(refused: string): Mark[] {
    return this.#rows
      .filter(({ recorded }) => recorded === null)
      .map(({ trace, key }) => ({ trace, key, recorded: { refused } }));
  }

  #sorted(): KeptRow[] {
    return this.#rows.toSorted((a, b) => Number(a.recorded === null) - Number(b.recorded === null));
  }
}

/** How many rows a span is, beside the one of its trace; that of an agent has a decision. */
function rowCount(span: TelemetrySpan, role: Role): number {
  if (role === 'turn') return roleOf(span) === 'agent' ? 1 : 0;
  if (role === 'repeated') return 0;
  return role === 'agent' ? 2 : 1;
}

/** Whether a span that comes again has ended since. */
const isEndOf = (span: TelemetrySpan, known: TelemetrySpan): boolean =>
  known.endedAt === undefined && span.endedAt !== undefined;

const spansOf = ({ span }: KeptRow): readonly TelemetrySpan[] => (isList(span) ? span : [span]);

/** What changes in a row; null: nothing is new in it, and it goes. */
type Mark = Omit<KeptRow, 'span'>;

export async function markRecorded(
  tx: Queryable,
  schema: string,
  marks: readonly Mark[],
): Promise<void> {
  const gone = marks.filter(({ recorded }) => recorded === null);
  await tx.query(
    `UPDATE trace_console.telemetry_spans AS s SET recorded = r.recorded
     FROM json_to_recordset($2::json) AS r (trace text, key text, recorded jsonb)
     WHERE s.target_schema = $1 AND s.trace_id = r.trace AND s.span_id = r.key`,
    [schema, JSON.stringify(marks.filter(({ recorded }) => recorded !== null))],
  );
  if (gone.length === 0) return;
  await tx.query(
    `DELETE FROM trace_console.telemetry_spans AS s
     USING json_to_recordset($2::json) AS r (trace text, key text)
     WHERE s.target_schema = $1 AND s.trace_id = r.trace AND s.span_id = r.key`,
    [schema, JSON.stringify(gone.map(({ trace, key }) => ({ trace, key })))],
  );
}

/** Those of some traces of which spans are kept. */
export async function tracesWithSpans(
  tx: Queryable,
  schema: string,
  ids: readonly string[],
): Promise<readonly string[]> {
  if (ids.length === 0) return [];
  const { rows } = await tx.query<{ id: string }>(
    `SELECT t.id FROM unnest($2::text[]) AS t (id)
     WHERE (SELECT s.trace_id FROM trace_console.telemetry_spans AS s
            WHERE s.target_schema = $1 AND s.trace_id = t.id LIMIT 1) IS NOT NULL`,
    [schema, ids],
  );
  return rows.map(({ id }) => id);
}

/** Each span once: senders that got no answer send again. */
export function tracesOf(spans: readonly TelemetrySpan[]): Map<string, TelemetrySpan[]> {
  const all = new Map<string, TelemetrySpan>();
  for (const span of spans) {
    const id = `${span.traceId} ${span.spanId}`;
    const known = all.get(id);
    if (known === undefined || isEndOf(span, known)) all.set(id, span);
  }
  return groupBy(all.values(), ({ traceId }) => traceId);
}

/** A trace that was written under another session than the one it has now. */
export type Replaced = { trace: string; session: string };

/**
 * The rows of traces that were written before their session was known: they are there under its name now. The other session goes
 * with them where nothing else tells of it.
 */
export async function removeReplaced(
  tx: Transaction,
  database: Database,
  replaced: readonly Replaced[],
): Promise<void> {
  if (replaced.length === 0) return;
  const sessions = replaced.map(({ session }) => sessionId(session));
  await lockSessions(tx, sessions);
  if (!(await mayDelete(tx, 'execution_traces'))) return;
  await tx.query('DELETE FROM execution_traces WHERE root_id = ANY($1::uuid[])', [
    replaced.map(({ trace, session }) => turnId(session, trace)),
  ]);
  const without = tablesIn(database).map(
    (table) => `AND NOT EXISTS (SELECT FROM ${table} AS t WHERE t.session_id = s.session_id)`,
  );
  if (await hasConsoleTable(tx, 'agent_metrics')) {
    without.push(`AND NOT EXISTS (SELECT FROM trace_console.agent_metrics AS m
      WHERE m.target_schema = s.target_schema AND m.session_id = s.session_id)`);
  }
  await tx.query(
    `DELETE FROM trace_console.agent_sessions AS s
     WHERE target_schema = $1 AND session_id = ANY($2::uuid[]) AND cwd IS NULL AND transcript_path IS NULL AND unplaced = '[]'
       ${without.join('\n')}`,
    [database.capabilities.schema, sessions],
  );
}

/**
 * Spans without those that a console exported when it did not give them their rows yet, and whose trace is here: nothing in them says
 * of which row they are, and it would stand here twice. Such a trace has the root's correlation id as its trace id.
 */
export async function withoutOwn(
  database: Database,
  spans: readonly TelemetrySpan[],
): Promise<readonly TelemetrySpan[]> {
  const isExported = ({ row, scope, attributes }: TelemetrySpan) =>
    row === undefined &&
    scope === 'trace-console' &&
    attributes['trace_console.kind'] !== undefined;
  const ids = [...new Set(spans.filter(isExported).map(({ traceId }) => traceId))];
  if (ids.length === 0) return spans;
  const found = await database.read<{ id: string }>(
    tablesIn(database)
      .map(
        (table) =>
          `SELECT correlation_id AS id FROM ${table} WHERE correlation_id = ANY ($1::uuid[])`,
      )
      .join(' UNION '),
    [ids],
  );
  const own = new Set(found.map(({ id }) => id.replaceAll('-', '')));
  return spans.filter((span) => !(isExported(span) && own.has(span.traceId)));
}

/**
 * Of traces of which nothing written is kept: whether they stand in the tables; of the others: whether they stand in the archive only.
 * Spans may come weeks after their trace, when it is archived: they would begin it a second time, did they not know its session.
 */
export async function findStored(
  tx: Queryable,
  database: Database,
  traces: ReadonlyMap<string, KeptTrace>,
): Promise<void> {
  if (traces.size === 0) return;
  const { rows } = await tx.query<{ id: string; session: string; live: boolean }>(
    tablesIn(database)
      .map(
        (table, index) =>
          `SELECT context ->> 'promptId' AS id, context ->> 'session' AS session, ${index === 0} AS live FROM ${table}
           WHERE tags && $1::text[] AND context ->> 'session' IS NOT NULL`,
      )
      .join(' UNION ALL '),
    [[...traces.keys()].map(otlpTag)],
  );
  const live = new Set(rows.flatMap((row) => (row.live ? [row.id] : [])));
  for (const { id, session } of rows) {
    const trace = traces.get(id);
    if (trace && (trace.isNew || !live.has(id))) trace.stored = session;
  }
}

const tablesIn = ({ capabilities }: Database): string[] =>
  tracesTables((table) => byOwnKey(capabilities.tables, table) !== undefined);

/** What a span was written as; nothing where a hook or a transcript may know the same call by its id: what these told stays. */
export function rowsOf(span: TelemetrySpan, { session, role }: Recorded): RetractedRow[] {
  switch (role) {
    case 'span':
      return [
        { table: 'hook_executions', id: happeningId(session, 'span', span.spanId) },
        { table: 'agent_routing_decisions', id: decisionId(session, span.spanId) },
      ];
    case 'tool':
      if (toolUseOf(span) !== span.spanId) return [];
      return [{ table: 'hook_executions', id: toolCallId(session, span.spanId) }];
    case 'model':
      if (messageOf(span) !== span.spanId) return [];
      return [{ table: 'endpoint_calls', id: modelCallId(session, span.spanId) }];
    case 'agent':
    case 'group':
      return [{ table: 'execution_traces', id: subagentId(session, span.spanId) }];
    case 'turn':
    case 'repeated':
    case 'copy':
      return [];
  }
}

/** A data point of a session's metrics: see schema/trace_console/012. Times are milliseconds since 1970. */
export type Figure = {
  session: string;
  name: string;
  key: string;
  from: number;
  at: number;
  /** Its value is that since `from`. */
  sinceStart: boolean;
  /** It is a sum since a start that nobody has told: `from` is when it came. */
  isUndated?: true;
  value: number;
};

/** Points are spread over so many rows by their hour. */
const slots = 64;
const hourMs = 3_600_000;
const largestValue = 1e15;

export const withoutPrivilege =
  'The role may not write trace_console.agent_metrics. ' +
  'Grant CREATE on the database once, or SELECT, INSERT and UPDATE on trace_console.agent_metrics.';

/** Why points cannot be kept; undefined: they can. Makes the table where it is missing and the role may. */
export async function figuresProblem(tx: Queryable): Promise<string | undefined> {
  if (await openConsoleTable(tx, 'agent_metrics')) return undefined;
  return withoutPrivilege;
}

/**
 * Keeps points, each once, in whatever order they come. A session that nobody has told of is one from then on. Whether they can be
 * kept is asked before ({@link figuresProblem}).
 */
export async function keepFigures(
  tx: Queryable,
  schema: string,
  figures: readonly Figure[],
): Promise<void> {
  if (figures.length === 0) return;
  const points = figures.map(({ session, name, key, from, at, sinceStart, isUndated, value }) => ({
    ...{ id: sessionId(session), session: sessionName(session).slice(0, 512) },
    ...{ name, key, from, at },
    // All points of one key are in one row, in which the largest of them stays.
    slot: isUndated ? 0 : Math.floor((sinceStart ? from : at) / hourMs) % slots,
    // Six decimals: a double may have a thousand, which a sum would take along.
    value: Math.round(Math.min(value, largestValue) * 1e6) / 1e6,
  }));
  const json = toJson(points);
  await tx.query(
    `INSERT INTO trace_console.agent_metrics AS m (target_schema, session_id, metric, slot, points)
     SELECT $1, id, name, slot, jsonb_object_agg(key, value) FROM (
       SELECT id, name, slot, key, max(value) AS value, row_number() OVER (PARTITION BY id, name, slot ORDER BY key COLLATE "C") AS nth
       FROM json_to_recordset($2::json) AS r (id uuid, name text, slot smallint, key text, value numeric)
       WHERE value > 0 GROUP BY id, name, slot, key) AS point
     WHERE nth <= $3 GROUP BY id, name, slot ORDER BY id, name, slot
     ON CONFLICT (target_schema, session_id, metric, slot) DO UPDATE SET points = (
       SELECT jsonb_object_agg(key, value) FROM (
         SELECT key, max(value::numeric) AS value FROM (
           SELECT * FROM jsonb_each_text(m.points) UNION ALL SELECT * FROM jsonb_each_text(excluded.points)) AS both_of
         GROUP BY key ORDER BY key COLLATE "C" LIMIT $3) AS kept)
     WHERE NOT m.points @> excluded.points`,
    [schema, json, mostInSlot],
  );
  await tx.query(
    `INSERT INTO trace_console.agent_sessions AS s (target_schema, session_id, agent, session, started_at, last_seen_at, activity)
     SELECT $1, id, 'claude-code', min(session), to_timestamp(least(min("from"), max(seen)) / 1000), to_timestamp(max(seen) / 1000),
       jsonb_build_object('kind', '${ofFigures}', 'at', max(seen))
     FROM json_to_recordset($2::json) AS r (id uuid, session text, "from" float8, at float8)
     -- A clock that is ahead would show the session as the newest one until then.
     CROSS JOIN LATERAL (SELECT least(at, extract(epoch FROM clock_timestamp())::float8 * 1000) AS seen) AS s
     GROUP BY id ORDER BY id
     ON CONFLICT (target_schema, session_id) DO UPDATE SET
       started_at = least(s.started_at, excluded.started_at), last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
       activity = CASE WHEN excluded.last_seen_at > s.last_seen_at THEN excluded.activity ELSE s.activity END
     WHERE s.activity ->> 'kind' = '${ofFigures}'`,
    [schema, json],
  );
}
