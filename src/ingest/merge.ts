import { ExactNumber } from '../core/exact-json.js';
import { isObject } from '../core/values.js';
import type { EventSource, ModelCalled, Usage } from './events.js';
import {
  betterPlace,
  fuller,
  placedJson,
  placedOf,
  placeLevel,
  rankOf,
  ranks,
  sourceOf,
  without,
} from './join.js';
import { projectOf, type CallRow, type Json, type TraceRow } from './rows.js';

/**
 * How what a later event tells is added to a call or a trace: it completes the row and never empties it, and the result is
 * the same in whatever order events come.
 */

/** The call with what an event tells of it; tokens are the element-wise maximum. */
export function mergeCall(
  old: CallRow | undefined,
  event: ModelCalled,
  ids: Pick<CallRow, 'id' | 'trace_id'> & { byTime: boolean; toldAs?: string | undefined },
): CallRow {
  const known: Json = old?.context ?? {};
  const pick = picker(ranks[event.source], rankOf(known.from));
  const span = callSpan(old, event);
  const usage = maxUsage(known.usage as Partial<Usage> | undefined, event.usage);
  const wasFinal = known.usage !== undefined && known.usage_bound !== true;
  const isFinal = event.usage !== undefined && event.isLowerBound !== true;
  const place = betterPlace(old && placedOf(known, { ...old, agent_id: textOf(known.agent_id) }), {
    traceId: ids.trace_id,
    agentId: event.subagent ?? null,
    level: placeLevel(event.source, ids.byTime, event.subagent === undefined),
    at: event.at,
    isMoved: event.isMoved,
  });
  const before = without(known, ['from', 'usage_bound', 'byTime', 'agent_id']);
  return {
    id: ids.id,
    trace_id: place.traceId,
    service_name: pick(event.provider, old?.service_name) ?? event.provider,
    endpoint_url: pick(event.endpoint, old?.endpoint_url === '' ? null : old?.endpoint_url) ?? '',
    http_method: 'POST',
    status_code: fuller(event.statusCode ?? (event.error ? null : 200), old?.status_code),
    retry_count: Math.max(old?.retry_count ?? 0, (event.attempt ?? 1) - 1, 0),
    ...span,
    error_type: pick(event.error?.type, old?.error_type),
    error_message: pick(event.error?.message, old?.error_message),
    context: {
      from: sourceOf(Math.max(ranks[event.source], rankOf(known.from))),
      ...before,
      ...given('model', pick(event.model, textOf(known.model))),
      ...given('usage', usage),
      ...(usage !== undefined && !wasFinal && !isFinal ? { usage_bound: true } : {}),
      ...given('request_id', pick(event.requestId, textOf(known.request_id))),
      ...given('finish_reason', pick(event.finishReason, textOf(known.finish_reason))),
      ...given('ttft_ms', fuller(event.timeToFirstTokenMs, known.ttft_ms as number | undefined)),
      ...given(
        'reported_cost_usd',
        fuller(event.costUsd, known.reported_cost_usd as number | undefined),
      ),
      ...given('span_kind', fuller(event.spanKind, textOf(known.span_kind) ?? undefined)),
      ...given('told_as', ids.toldAs),
      ...given('agent_id', place.agentId),
      ...placedJson(place),
    },
  };
}

/** From the first to the last that the most exact source tells of it. */
function callSpan(old: CallRow | undefined, event: ModelCalled) {
  const rank = ranks[event.source];
  const known = rankOf(old?.context.from);
  let started = event.startedAt ?? event.at - (event.durationMs ?? 0);
  let ended = event.at;
  if (old && known > rank) [started, ended] = [old.started_at, old.completed_at ?? old.started_at];
  else if (old && known === rank) {
    started = Math.min(started, old.started_at);
    ended = Math.max(ended, old.completed_at ?? ended);
  }
  started = Math.min(started, ended);
  return {
    started_at: started,
    completed_at: ended,
    duration_ms: Math.round(ended - started),
  };
}

/** Chooses between what an event tells and what is known, by their ranks; of equal ones the fuller. */
function picker(rank: number, known: number) {
  return <Value>(
    mine: Value | null | undefined,
    theirs: Value | null | undefined,
  ): Value | null => {
    if (rank === known) return fuller(mine, theirs);
    return (rank > known ? (mine ?? theirs) : (theirs ?? mine)) ?? null;
  };
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);

function given(name: string, value: unknown): Json {
  return value === undefined || value === null ? {} : { [name]: value };
}

function maxUsage(
  one: Partial<Usage> | undefined,
  other: Partial<Usage> | undefined,
): Usage | undefined {
  if (one === undefined && other === undefined) return undefined;
  const most = (key: keyof Usage) => Math.max(one?.[key] ?? 0, other?.[key] ?? 0);
  return {
    input: most('input'),
    output: most('output'),
    cacheRead: most('cacheRead'),
    cacheCreation: most('cacheCreation'),
    cacheCreation1h: most('cacheCreation1h'),
  };
}

/** What was told of a turn's (or a subagent's) course; kept in `context.turn`. */
export type Course = {
  /** By which source the beginning is known; absent while only parts of the turn were seen. */
  beganFrom?: EventSource;
  /** The agent stopped by itself. */
  endedAt?: number;
  endedFrom?: EventSource;
  failed?: { at: number; type: string; message?: string | undefined };
  interruptedAt?: number;
};

export function courseOf(row: Pick<TraceRow, 'context'>): Course {
  return (row.context.turn as Course | undefined) ?? {};
}

export type TracePatch = {
  from: EventSource;
  row: Partial<TraceRow> & Pick<TraceRow, 'correlation_id' | 'root_id' | 'session_id' | 'source'>;
  /** The beginning, when the event tells it. */
  beganAt?: number | undefined;
  at: number;
  /** How well its root and its parent are known: 2, told with its beginning or its end; 1, its turn is told; 0, by the time. */
  placeLevel: number;
  isMoved?: boolean | undefined;
  course?: Course | undefined;
  context?: Json | undefined;
};

/** @returns the trace with what an event tells of it; its status is found afterwards, from all that is known */
export function mergeTrace(old: TraceRow | undefined, patch: TracePatch): TraceRow {
  const course = old ? courseOf(old) : {};
  const rank = ranks[patch.from];
  const known = rankOf(old?.context.from);
  const pick = picker(rank, known);
  const { row } = patch;
  // A source that knows all of a turn now says anew what it has said from a part of it.
  const isCorrected =
    patch.isMoved === true && patch.beganAt !== undefined && !row.parent_id && rank === known;
  const began = joinBegin(old, course, patch);
  const place = joinPlace(old, patch);
  const before = without(old?.context ?? {}, [
    'from',
    'turn',
    'placed',
    'byTime',
    ...(isCorrected ? ['agent', 'project', 'version', 'span'] : []),
  ]);
  const context = mergeContext(before, patch.context ?? {}, pick);
  return {
    id: row.correlation_id,
    correlation_id: row.correlation_id,
    ...place.ids,
    session_id: row.session_id,
    user_id: pick(row.user_id, old?.user_id),
    project: textOf(context.project) ?? projectOf(textOf(context.cwd)) ?? old?.project ?? null,
    source: isCorrected ? row.source : joinSource(old?.source, row.source),
    prompt_text: isCorrected
      ? (row.prompt_text ?? old?.prompt_text ?? null)
      : pick(row.prompt_text, old?.prompt_text),
    status: old?.status ?? 'in_progress',
    error_type: old?.error_type ?? null,
    error_message: old?.error_message ?? null,
    model: pick(row.model, old?.model),
    provider: pick(row.provider, old?.provider),
    input_tokens: old?.input_tokens ?? null,
    output_tokens: old?.output_tokens ?? null,
    cache_read_tokens: old?.cache_read_tokens ?? null,
    cache_creation_tokens: old?.cache_creation_tokens ?? null,
    cost_usd: old?.cost_usd ?? null,
    tags: [...new Set([...(old?.tags ?? []), ...(row.tags ?? [])])].toSorted(),
    started_at: began.at,
    completed_at: old?.completed_at ?? null,
    duration_ms: old?.duration_ms ?? null,
    context: {
      from: sourceOf(Math.max(rank, known)),
      turn: mergeCourse(isCorrected ? {} : course, patch.course ?? {}, began.rank),
      ...context,
      ...place.json,
    },
  };
}

/** As the most exact source gave it, the earliest; while nobody has told it, the earliest sign of the trace. */
function joinBegin(old: TraceRow | undefined, course: Course, { from, beganAt, at }: TracePatch) {
  const mine = { rank: beganAt === undefined ? 0 : ranks[from], at: beganAt ?? at };
  if (!old) return mine;
  const before = { rank: rankOf(course.beganFrom), at: old.started_at };
  if (mine.rank !== before.rank) return mine.rank > before.rank ? mine : before;
  return { rank: mine.rank, at: Math.min(mine.at, before.at) };
}

/** The place that is better known, or the earlier one: a subagent belongs to the turn that it was started in. */
function joinPlace(old: TraceRow | undefined, { row, placeLevel: level, at, isMoved }: TracePatch) {
  const ids = { root_id: row.root_id, parent_id: row.parent_id ?? null };
  if (ids.parent_id === null) return { ids, json: {} };
  const mine = { ids, json: level === 0 ? { byTime: true } : { placed: { level, at } } };
  if (!old) return mine;
  const placed = old.context.placed as { level: number; at: number } | undefined;
  const was = placed?.level ?? 0;
  const isElsewhere = ids.root_id !== old.root_id || ids.parent_id !== old.parent_id;
  const isTakenBack = isMoved === true && isElsewhere;
  const isBetter =
    level > was || (level === was && placed !== undefined && (isTakenBack || at < placed.at));
  if (isBetter) return mine;
  return {
    ids: { root_id: old.root_id, parent_id: old.parent_id },
    json: placed ? { placed } : { byTime: true },
  };
}

/** `user_prompt` is said of a turn whose prompt is not known, too. */
function joinSource(old: string | undefined, mine: string): string {
  if (old === undefined || old === mine || old === 'user_prompt') return mine;
  return mine === 'user_prompt' ? old : (fuller(old, mine) ?? mine);
}

/** One level deep: `git: {branch}` completes `git: {commit}`. */
function mergeContext(old: Json, mine: Json, pick: ReturnType<typeof picker>): Json {
  const merged = new Map(Object.entries(old));
  for (const [key, value] of Object.entries(mine)) {
    if (value === undefined || value === null) continue;
    const before = merged.get(key);
    // A number that JavaScript does not have is no object of several values.
    const isWhole = value instanceof ExactNumber || before instanceof ExactNumber;
    if (!isWhole && isObject(value) && isObject(before))
      merged.set(key, mergeContext(before, value, pick));
    else merged.set(key, key === 'cwd' ? outerPath(value, before) : pick(value, before));
  }
  return Object.fromEntries(merged);
}

/** An agent changes into folders of its project and back: the shorter path is nearer to the project's own. */
function outerPath(one: unknown, other: unknown): unknown {
  const [a, b] = [textOf(one), textOf(other)];
  if (a === null || b === null) return a ?? b;
  if (a.length !== b.length) return a.length < b.length ? a : b;
  return a < b ? a : b;
}

/** What two tell of a course, put together. */
export function mergeCourse(old: Course, mine: Course, beganFrom = rankOf(old.beganFrom)): Course {
  const interrupted = latest(old.interruptedAt, mine.interruptedAt);
  const failed = laterFailure(old.failed, mine.failed);
  return {
    ...(beganFrom === 0 ? {} : { beganFrom: sourceOf(beganFrom) }),
    ...mergeEnd(old, mine),
    ...(interrupted === undefined ? {} : { interruptedAt: interrupted }),
    ...(failed === undefined ? {} : { failed }),
  };
}

function laterFailure(one: Course['failed'], other: Course['failed']): Course['failed'] {
  if (!one || !other) return one ?? other;
  if (one.at !== other.at) return one.at > other.at ? one : other;
  return fuller(one, other) ?? one;
}

function mergeEnd(old: Course, mine: Course): Pick<Course, 'endedAt' | 'endedFrom'> {
  const [one, other] = [rankOf(old.endedFrom), rankOf(mine.endedFrom)];
  const ended =
    one === other ? latest(old.endedAt, mine.endedAt) : (one > other ? old : mine).endedAt;
  return ended === undefined ? {} : { endedAt: ended, endedFrom: sourceOf(Math.max(one, other)) };
}

function latest(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.max(one, other);
}
