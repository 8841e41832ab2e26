import type { Queryable } from '../db/queryable.js';
import type { ModelCalled } from './events.js';
import { modelCallId, sessionId } from './ids.js';
import type { Json } from './rows.js';

/** A model call that is to be written, under the id of its message. */
export type CallToWrite = { event: ModelCalled; id: string };

/** The row of a call. `toldAs`: the other source's name for it, where only equal figures show that both are one call. */
export type Alias = { id: string; toldAs?: string };

/** Telemetry names a model call by its request; transcripts name both its message and its request. */
const byRequest = 'request:';

const isByRequest = ({ event }: CallToWrite): boolean => event.message.startsWith(byRequest);

/**
 * Under which id calls are stored that another source has told of by another name: the row that was there first keeps
 * its id.
 *
 * @param fresh ids of calls of sessions that nothing is stored of
 * @returns rows by the ids of the messages; calls that are not in it keep theirs
 */
export async function callAliases(
  tx: Queryable,
  calls: readonly CallToWrite[],
  fresh: ReadonlySet<string>,
): Promise<ReadonlyMap<string, Alias>> {
  const aliases = new Map<string, Alias>();
  for (const [id, row] of await sameRequests(tx, calls, fresh)) aliases.set(id, { id: row });
  for (const [id, alias] of await sameFigures(tx, calls, { aliases, fresh }))
    aliases.set(id, alias);
  return aliases;
}

async function sameRequests(
  tx: Queryable,
  calls: readonly CallToWrite[],
  fresh: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string>> {
  const named = calls.flatMap((call) =>
    call.event.requestId === undefined ? [] : [{ key: requestKey(call.event), ...call }],
  );
  const known = named.filter(({ id }) => !fresh.has(id));
  const rowOf = await storedRequests(tx, known);
  const told = known.filter(isByRequest);
  for (const [key, id] of await storedMessages(tx, told)) if (!rowOf.has(key)) rowOf.set(key, id);
  for (const call of named) {
    if (!isByRequest(call) && !rowOf.has(call.key)) rowOf.set(call.key, call.id);
  }
  const aliases = new Map<string, string>();
  for (const { id, key } of named) {
    const row = rowOf.get(key);
    if (row !== undefined && row !== id) aliases.set(id, row);
  }
  return aliases;
}

const requestKey = ({ session, requestId }: Pick<ModelCalled, 'session' | 'requestId'>): string =>
  `${session}\0${requestId}`;

/** Rows that are stored under the names of requests, by their keys. */
async function storedRequests(
  tx: Queryable,
  calls: readonly (CallToWrite & { key: string })[],
): Promise<Map<string, string>> {
  if (calls.length === 0) return new Map();
  const keys = new Map(
    calls.map(({ event, key }) => [
      modelCallId(event.session, `${byRequest}${event.requestId ?? ''}`),
      key,
    ]),
  );
  const { rows } = await tx.query<{ id: string }>(
    'SELECT id FROM endpoint_calls WHERE id = ANY($1::uuid[])',
    [[...keys.keys()]],
  );
  return new Map(rows.map(({ id }) => [keys.get(id) ?? id, id]));
}

/** Rows of messages whose requests telemetry tells of now. */
async function storedMessages(
  tx: Queryable,
  told: readonly CallToWrite[],
): Promise<[key: string, id: string][]> {
  if (told.length === 0) return [];
  const sessions = new Map(told.map(({ event }) => [sessionId(event.session), event.session]));
  const { rows } = await tx.query<{ id: string; session: string; request: string }>(
    `SELECT c.id, t.session_id::text AS session, c.context->>'request_id' AS request
     FROM execution_traces AS t JOIN endpoint_calls AS c ON c.trace_id = t.id
     WHERE t.session_id = ANY($1::uuid[]) AND c.context->>'request_id' = ANY($2::text[])`,
    [[...sessions.keys()], told.map(({ event }) => event.requestId)],
  );
  return rows.map(({ id, session, request }) => [
    requestKey({ session: sessions.get(session) ?? session, requestId: request }),
    id,
  ]);
}

/** A call that another source may have stored under another name. Times are milliseconds since 1970. */
type Known = {
  id: string;
  session: string;
  /** Its tokens without those of the output, which grow while it is streamed. */
  figures: string;
  from: number;
  to: number;
  isTelemetry: boolean;
  requestId: string | null;
  toldAs: string | null;
};

/** What a transcript says of the time of a message differs by so much (ms) from what telemetry says of its request. */
const apartMs = 5_000;

/**
 * Behind gateways one of the two does not know the request. A session's context grows with each call, so that one with
 * the same tokens at the same time is the same call.
 */
async function sameFigures(
  tx: Queryable,
  calls: readonly CallToWrite[],
  { aliases, fresh }: { aliases: ReadonlyMap<string, Alias>; fresh: ReadonlySet<string> },
): Promise<ReadonlyMap<string, Alias>> {
  const found = new Map<string, Alias>();
  const open = calls.filter(
    (call) =>
      call.event.agent === 'claude-code' &&
      !aliases.has(call.id) &&
      figuresOf(call.event.usage) !== undefined,
  );
  if (open.length === 0) return found;
  const stored = await storedCalls(
    tx,
    open.filter(({ id }) => !fresh.has(id)),
  );
  if (stored.length === 0 && calls.every(({ event }) => event.source !== 'telemetry')) return found;
  const told = calls.filter(({ event }) => event.agent === 'claude-code').map(knownOf);
  const known = [...stored, ...told.filter(({ isTelemetry }) => !isTelemetry)];
  const [telemetry, transcripts] = [true, false].map((is) =>
    known.filter(({ isTelemetry }) => isTelemetry === is),
  );
  const ids = new Set(stored.map(({ id }) => id));
  const taken = new Set<string>();
  for (const call of open) {
    if (ids.has(call.id) || found.has(call.id)) continue;
    const mine = knownOf(call);
    const { message } = call.event;
    const row =
      stored.find(({ session, toldAs }) => session === mine.session && toldAs === message) ??
      (mine.isTelemetry ? transcripts : telemetry)
        ?.filter((each) => !taken.has(each.id) && isSameCall(each, mine))
        .toSorted((a, b) => Math.abs(a.to - mine.to) - Math.abs(b.to - mine.to))[0];
    if (row === undefined) continue;
    const id = found.get(row.id)?.id ?? aliases.get(row.id)?.id ?? row.id;
    if (id === call.id) continue;
    taken.add(row.id);
    found.set(call.id, { id, toldAs: message.slice(0, 512) });
  }
  return found;
}

function isSameCall(other: Known, mine: Known): boolean {
  return (
    other.isTelemetry !== mine.isTelemetry &&
    other.session === mine.session &&
    other.figures === mine.figures &&
    other.toldAs === null &&
    (other.requestId === null || mine.requestId === null) &&
    other.from - apartMs <= mine.to &&
    mine.from - apartMs <= other.to
  );
}

function figuresOf(usage: ModelCalled['usage']): string | undefined {
  const { input = 0, cacheRead = 0, cacheCreation = 0 } = usage ?? {};
  return input + cacheRead + cacheCreation > 0
    ? `${input} ${cacheRead} ${cacheCreation}`
    : undefined;
}

function knownOf({ event, id }: CallToWrite): Known {
  return {
    id,
    session: sessionId(event.session),
    figures: figuresOf(event.usage) ?? '',
    from: event.startedAt ?? event.at - (event.durationMs ?? 0),
    to: event.at,
    isTelemetry: event.source === 'telemetry',
    requestId: event.requestId ?? null,
    toldAs: null,
  };
}

/** Calls of these sessions at these times. */
async function storedCalls(tx: Queryable, calls: readonly CallToWrite[]): Promise<Known[]> {
  if (calls.length === 0) return [];
  const times = calls.map(knownOf);
  const { rows } = await tx.query<{
    id: string;
    session: string;
    from_ms: number;
    to_ms: number;
    context: Json;
  }>(
    `SELECT c.id, t.session_id::text AS session, c.context,
       (extract(epoch FROM c.started_at) * 1000)::float8 AS from_ms,
       (extract(epoch FROM coalesce(c.completed_at, c.started_at)) * 1000)::float8 AS to_ms
     FROM execution_traces AS t JOIN endpoint_calls AS c ON c.trace_id = t.id
     WHERE t.session_id = ANY($1::uuid[])
       AND c.started_at <= to_timestamp($3::float8 / 1000)
       AND coalesce(c.completed_at, c.started_at) >= to_timestamp($2::float8 / 1000)`,
    [
      [...new Set(times.map(({ session }) => session))],
      Math.min(...times.map(({ from }) => from)) - apartMs,
      Math.max(...times.map(({ to }) => to)) + apartMs,
    ],
  );
  return rows.map(({ id, session, from_ms: from, to_ms: to, context }) => ({
    ...{ id, session, from, to },
    figures: figuresOf(context.usage as ModelCalled['usage']) ?? '',
    isTelemetry: context.from === 'telemetry',
    requestId: typeof context.request_id === 'string' ? context.request_id : null,
    toldAs: typeof context.told_as === 'string' ? context.told_as : null,
  }));
}
