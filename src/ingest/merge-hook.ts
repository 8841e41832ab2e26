import type { EventSource } from './events.js';
import {
  betterPlace,
  fuller,
  fullerOfEach,
  placedJson,
  placedOf,
  placeLevel,
  rankOf,
  ranks,
  sourceOf,
  without,
} from './join.js';
import type { HookRow, Status } from './rows.js';

/** What an event tells of a tool call, or of anything else that is a row of hook_executions. */
export type HookPatch = {
  from: EventSource;
  row: Partial<HookRow> & Pick<HookRow, 'id' | 'trace_id' | 'hook_type' | 'hook_name'>;
  startedAt?: number | undefined;
  endedAt?: number | undefined;
  at: number;
  outcome?: Outcome | undefined;
  /** Its turn was found by the time alone, and is looked for again when turns are added. */
  byTime: boolean;
  isMoved?: boolean | undefined;
};

type Outcome = Exclude<Status, 'in_progress'>;

/** What the row's metadata holds of how its columns are known. */
type Known = {
  from: EventSource;
  startFrom?: EventSource;
  /** The start as it was told, where the end lies before it: clocks differ. */
  start?: number;
  endFrom?: EventSource;
};

/** The row with what an event tells of it: it is completed, never emptied. */
export function mergeHook(old: HookRow | undefined, patch: HookPatch): HookRow {
  const { row } = patch;
  const known = (old?.metadata ?? {}) as Partial<Known>;
  const start = joinStart(old, known, patch);
  const end = joinEnd(old, known, patch);
  const place = betterPlace(old && placedOf(old.metadata, old), {
    traceId: row.trace_id,
    agentId: row.agent_id ?? null,
    level: placeLevel(patch.from, patch.byTime, row.agent_id === undefined),
    at: patch.at,
    isMoved: patch.isMoved,
  });
  const started = Math.min(start.at, end?.at ?? start.at);
  return {
    id: row.id,
    trace_id: place.traceId,
    hook_type: row.hook_type,
    hook_name: fuller(old?.hook_name, row.hook_name) ?? row.hook_name,
    tool_name: fuller(old?.tool_name, row.tool_name),
    tool_use_id: fuller(old?.tool_use_id, row.tool_use_id),
    agent_id: place.agentId,
    file_path: fuller(old?.file_path, row.file_path),
    status: end?.status ?? 'in_progress',
    started_at: started,
    completed_at: end?.at ?? null,
    duration_ms: end === undefined ? null : Math.round(end.at - started),
    exit_code: fuller(old?.exit_code, row.exit_code),
    decision: laterDecision(old?.decision, row.decision),
    input_data: fuller(old?.input_data, row.input_data),
    output_data: fuller(old?.output_data, row.output_data),
    error_type: end?.errorType ?? null,
    error_message: end?.errorMessage ?? null,
    metadata: {
      from: sourceOf(Math.max(rankOf(known.from), ranks[patch.from])),
      ...fullerOfEach(without(old?.metadata ?? {}, own), row.metadata ?? {}),
      ...placedJson(place),
      ...(start.rank === 0 ? {} : { startFrom: sourceOf(start.rank) }),
      ...(start.at > started ? { start: start.at } : {}),
      ...(end === undefined ? {} : { endFrom: sourceOf(end.rank) }),
    } satisfies Known,
  };
}

/** Whether somebody has told how it ended. */
export const isEndTold = ({ metadata }: Pick<HookRow, 'metadata'>): boolean =>
  metadata.endFrom !== undefined;

const own = ['from', 'startFrom', 'start', 'endFrom', 'placed', 'byTime'];

/** As the most exact source gave it, the earliest; while nobody has told it, the earliest sign of the row. */
function joinStart(old: HookRow | undefined, known: Partial<Known>, patch: HookPatch) {
  const rank = patch.startedAt === undefined ? 0 : ranks[patch.from];
  const at = patch.startedAt ?? patch.endedAt ?? patch.at;
  if (!old) return { rank, at };
  const before = { rank: rankOf(known.startFrom), at: known.start ?? old.started_at };
  if (rank !== before.rank) return rank > before.rank ? { rank, at } : before;
  return { rank, at: Math.min(at, before.at) };
}

type End = {
  rank: number;
  at: number;
  status: Outcome;
  errorType: string | null;
  errorMessage: string | null;
};

const severities: Readonly<Record<Outcome, number>> = {
  completed: 0,
  timeout: 1,
  cancelled: 2,
  failed: 3,
};

/** As the most exact source told it; of several ends the latest and the worst. */
function joinEnd(
  old: HookRow | undefined,
  known: Partial<Known>,
  patch: HookPatch,
): End | undefined {
  const mine: End | undefined = patch.outcome && {
    rank: ranks[patch.from],
    at: patch.endedAt ?? patch.at,
    status: patch.outcome,
    errorType: patch.row.error_type ?? null,
    errorMessage: patch.row.error_message ?? null,
  };
  if (!old || known.endFrom === undefined || old.status === 'in_progress') return mine;
  const before: End = {
    rank: rankOf(known.endFrom),
    at: old.completed_at ?? old.started_at,
    status: old.status,
    errorType: old.error_type,
    errorMessage: old.error_message,
  };
  if (!mine) return before;
  if (mine.rank !== before.rank) return mine.rank > before.rank ? mine : before;
  const at = Math.max(mine.at, before.at);
  if (mine.status === before.status) {
    return {
      ...mine,
      at,
      errorType: fuller(mine.errorType, before.errorType),
      errorMessage: fuller(mine.errorMessage, before.errorMessage),
    };
  }
  const worse = severities[mine.status] > severities[before.status] ? mine : before;
  return { ...worse, at };
}

const decisions = ['ask', 'allow', 'deny'];

/** Merges permissions: asked for, then given or refused; a refusal wins. */
function laterDecision(
  one: string | null | undefined,
  other: string | null | undefined,
): string | null {
  if (!one || !other) return one ?? other ?? null;
  const [a, b] = [decisions.indexOf(one), decisions.indexOf(other)];
  return a === b ? fuller(one, other) : a > b ? one : other;
}
