import { formatCount, formatMoney, formatShare } from '../../core/format/number.js';
import { byOwnKey } from '../../core/values.js';
import type { Tone } from '../contract/column.js';

export type TimelineKind = 'trace' | 'routing_decision' | 'hook' | 'endpoint_call';

export type TimelineRow = {
  now_us: number;
  /** Of the trace that was asked for; the other rows belong to its tree. */
  asked_id: string;
  kind: TimelineKind;
  id: string;
  trace_id: string;
  /** Of a trace. */
  correlation_id: string | null;
  /** Of a trace the correlation id of its parent, of a call the hook that made it. */
  parent: string | null;
  name: string | null;
  status: string | null;
  success: boolean | null;
  /** Microseconds since 1970; infinite where the time is. */
  started_us: number | null;
  duration_ms: number | null;
  archived: boolean;
  details: Record<string, unknown> | null;
};

export type Outcome = 'ok' | 'failed' | 'running' | 'cancelled';

/** One event of a trace's tree. */
export type TraceEvent = {
  /** Its identity in the tree; the same id may be live and archived. */
  key: string;
  kind: TimelineKind;
  id: string;
  traceId: string;
  correlationId: string;
  parentId: string | null;
  name: string;
  status: string | null;
  outcome: Outcome;
  /** Microseconds since 1970; infinite where the time is, null where the writer gave none. */
  startedUs: number | null;
  offsetMs: number;
  /** Null while it runs, and where the writer gave none. */
  durationMs: number | null;
  archived: boolean;
  details: Readonly<Record<string, unknown>>;
};

/** A start that is no moment, as PostgreSQL writes it: `infinity`, `-infinity`; undefined for a moment or none. */
export function infiniteStart({ startedUs }: TraceEvent): string | undefined {
  if (startedUs === null || Number.isFinite(startedUs)) return undefined;
  return startedUs > 0 ? 'infinity' : '-infinity';
}

export function eventKey(kind: TimelineKind, id: string, archived = false): string {
  return `${kind} ${id}${archived ? ' archived' : ''}`;
}

export function eventOf(
  row: TimelineRow,
  place: Pick<TraceEvent, 'parentId' | 'correlationId' | 'offsetMs'>,
): TraceEvent {
  return {
    key: eventKey(row.kind, row.id, row.archived),
    kind: row.kind,
    id: row.id,
    traceId: row.trace_id,
    ...place,
    name: row.name ?? '',
    status: row.status,
    outcome: outcomeOf(row),
    startedUs: row.started_us,
    durationMs: row.duration_ms === null ? null : Math.max(0, row.duration_ms),
    archived: row.archived,
    details: row.details ?? {},
  };
}

function outcomeOf({ kind, status, success, duration_ms: durationMs }: TimelineRow): Outcome {
  switch (kind) {
    case 'routing_decision':
      return 'ok';
    case 'endpoint_call':
      if (success === false) return 'failed';
      return success === null && status === null && durationMs === null ? 'running' : 'ok';
    default:
      if (status === 'in_progress') return 'running';
      if (status === 'cancelled') return 'cancelled';
      return status !== null && isFailure(status) ? 'failed' : 'ok';
  }
}

export function detailText({ details }: TraceEvent, name: string): string | undefined {
  const value = byOwnKey(details, name);
  if (typeof value === 'string') return value === '' ? undefined : value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

export function detailNumber({ details }: TraceEvent, name: string): number | undefined {
  const value = byOwnKey(details, name);
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/**
 * `PreToolUse policy-guard (Bash)`, `→ agent-debug 87%`, `POST search-service 503`; `short`: a hook without
 * its type.
 */
export function eventTitle(event: TraceEvent, short = false): string {
  switch (event.kind) {
    case 'trace': {
      const spanKind = detailText(event, 'span_kind');
      // Of what a service did, not of a user or an agent.
      return spanKind !== undefined && event.name === 'telemetry'
        ? `${event.name} ${spanKind}`
        : event.name;
    }
    case 'routing_decision': {
      const confidence = detailNumber(event, 'confidence');
      const share = confidence === undefined ? '' : ` ${Math.round(confidence * 100)}%`;
      return `→ ${event.name}${share}`;
    }
    case 'hook': {
      const tool = detailText(event, 'tool');
      // A use of a tool by the agent itself is called by the tool alone: no hook ran.
      if (tool !== undefined && detailText(event, 'type') === 'ToolUse') return tool;
      const type = short ? undefined : detailText(event, 'type');
      return `${type === undefined ? '' : `${type} `}${event.name}${tool === undefined ? '' : ` (${tool})`}`;
    }
    case 'endpoint_call':
      if (isModelCall(event)) return modelTitle(event);
      return [detailText(event, 'method'), event.name, event.status]
        .filter((part) => part !== undefined && part !== null)
        .join(' ');
  }
}

/** A call that names its model; the timeline says what was read and written. */
export function isModelCall(event: TraceEvent): boolean {
  return event.kind === 'endpoint_call' && detailText(event, 'model') !== undefined;
}

/** `claude-sonnet-4-5 26.3k tokens in, 340 out`; the status where it failed. */
function modelTitle(event: TraceEvent): string {
  const model = detailText(event, 'model') ?? '';
  if (event.outcome === 'failed') return `${model} ${event.status ?? ''}`.trimEnd();
  const output = detailNumber(event, 'output');
  return output === undefined
    ? model
    : `${model} ${formatCount(readTokens(event))} tokens in, ${formatCount(output)} out`;
}

/** All that a call has read, from a cache or not, and what it wrote to one. */
function readTokens(event: TraceEvent): number {
  const kinds = ['uncached', 'cache_read', 'cache_written'];
  return kinds.reduce((sum, kind) => sum + (detailNumber(event, kind) ?? 0), 0);
}

/** `$0.04, 90% from a cache` */
function costText(event: TraceEvent): string {
  const cost = detailNumber(event, 'call_cost_usd');
  const cached = detailNumber(event, 'cache_read');
  const read = readTokens(event);
  return [
    ...(cost === undefined ? [] : [formatMoney(cost)]),
    ...(cached === undefined || read === 0 ? [] : [`${formatShare(cached / read)} from a cache`]),
  ].join(', ');
}

/** What it worked on: the command, file or words that a tool was given, the prompt of a subagent. Untrusted text. */
export function subjectText(event: TraceEvent): string {
  switch (event.kind) {
    case 'trace':
      return detailText(event, 'prompt') ?? '';
    case 'hook':
      return patchedFile(detailText(event, 'input')) ?? detailText(event, 'file_path') ?? '';
    default:
      return '';
  }
}

/** Of a patch of Codex the first file that it changes. */
function patchedFile(input: string | undefined): string | undefined {
  const [, file] = /^\*{3} Begin Patch\s+\*{3} \w+ File: (.+)/.exec(input ?? '') ?? [];
  return file ?? input;
}

/** What it worked on, and what went wrong with it, each once. Untrusted texts. */
export function eventTexts(event: TraceEvent): readonly string[] {
  return [...new Set([subjectText(event), eventText(event)])].filter((text) => text !== '');
}

/** What went wrong, or else what it worked on. Untrusted text. */
export function eventText(event: TraceEvent): string {
  const error = [detailText(event, 'error_type'), detailText(event, 'error_message')]
    .filter((part) => part !== undefined)
    .join(': ');
  if (error !== '') return error;
  switch (event.kind) {
    case 'trace':
      return subjectText(event);
    case 'routing_decision':
      return [detailText(event, 'strategy'), detailText(event, 'reason')]
        .filter((part) => part !== undefined)
        .join(': ');
    case 'hook':
      return (
        subjectText(event) ||
        (detailText(event, 'decision') ?? detailText(event, 'span_kind') ?? '')
      );
    case 'endpoint_call':
      return isModelCall(event) ? costText(event) : (detailText(event, 'url') ?? '');
  }
}

export const kindWords: Readonly<Record<TimelineKind, string>> = {
  trace: 'trace',
  routing_decision: 'routing',
  hook: 'hook',
  endpoint_call: 'call',
};

export const outcomeTones: Readonly<Record<Outcome, Tone | undefined>> = {
  ok: undefined,
  failed: 'error',
  running: 'running',
  cancelled: 'warning',
};

const statusTones: ReadonlyMap<string, Tone> = new Map(
  Object.entries({
    completed: 'success',
    in_progress: 'running',
    failed: 'error',
    timeout: 'error',
    cancelled: 'warning',
  } as const),
);

export function statusTone(status: string | null): Tone | undefined {
  return status === null ? undefined : statusTones.get(status);
}

/** Failed is everywhere: status failed or timeout. */
export function isFailure(status: string): boolean {
  return status === 'failed' || status === 'timeout';
}
