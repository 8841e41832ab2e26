import type { AgentEvent, Failure, Place } from './events.js';
import { decisionId, happeningId, sessionName, toolCallId } from './ids.js';
import type { HookPatch } from './merge-hook.js';
import type { TracePatch } from './merge.js';
import { redact } from './redact.js';
import { name, type DecisionRow, type Json, type TraceRow } from './rows.js';
import type { Session } from './session.js';

/** What each kind of event tells of the rows it belongs to. */

/** An event without secrets: nothing else is recorded. */
export type CleanEvent = AgentEvent & { readonly [isClean]: true };

declare const isClean: unique symbol;

/** @param places those that were cleaned before: all events of a turn have the same one */
export function cleanEvent(
  event: AgentEvent,
  places: WeakMap<Place, Place>,
  limit: number | undefined,
): CleanEvent {
  const { place, ofTurn } = event;
  const clean = redact({ ...event, place: undefined, ofTurn: undefined }, limit) as CleanEvent;
  clean.session = sessionName(clean.session);
  const cleanPlace = (dirty: Place) => {
    const known = places.get(dirty) ?? (redact(dirty, limit) as Place);
    places.set(dirty, known);
    return known;
  };
  if (place !== undefined) clean.place = cleanPlace(place);
  if (ofTurn !== undefined) clean.ofTurn = { ...ofTurn, place: cleanPlace(ofTurn.place) };
  return clean;
}

/** The event as it tells of its turn. */
export const asOfTurn = (event: AgentEvent): AgentEvent =>
  event.ofTurn === undefined ? event : { ...event, ...event.ofTurn };

export function courseFrom(event: AgentEvent): TracePatch['course'] {
  switch (event.kind) {
    case 'turn_ended':
    case 'subagent_ended':
      return event.error
        ? {
            failed: {
              at: event.at,
              type: name(event.error.type),
              message: event.error.message?.slice(0, 2_000),
            },
          }
        : { endedAt: event.at, endedFrom: event.source };
    case 'interrupted':
      return { interruptedAt: event.at };
    default:
      return undefined;
  }
}

export function contextFrom({ agent, place }: AgentEvent, session: Session): Json {
  return {
    agent,
    ...(session.key === session.id ? {} : { session: session.key.slice(0, 512) }),
    ...(place?.version === undefined ? {} : { version: place.version }),
    ...(place?.cwd === undefined ? {} : { cwd: place.cwd }),
    ...(place?.project === undefined ? {} : { project: name(place.project) }),
    ...(place?.entrypoint === undefined ? {} : { entrypoint: place.entrypoint }),
    ...(place?.permissionMode === undefined ? {} : { permission_mode: place.permissionMode }),
    ...(place?.gitBranch === undefined && place?.gitCommit === undefined
      ? {}
      : {
          git: {
            ...(place.gitBranch === undefined ? {} : { branch: place.gitBranch }),
            ...(place.gitCommit === undefined ? {} : { commit: place.gitCommit }),
          },
        }),
  };
}

export function placeColumns(place: Place | undefined): Partial<TraceRow> {
  return {
    ...(place?.user === undefined ? {} : { user_id: name(place.user) }),
  };
}

function toolPatch(
  event: Extract<AgentEvent, { kind: 'tool_started' | 'tool_ended' }>,
  session: Session,
  traceId: string,
  byTime: boolean,
): HookPatch {
  const ended = event.kind === 'tool_ended' ? event : undefined;
  const startedAt =
    event.kind === 'tool_started'
      ? event.at
      : (event.startedAt ??
        (event.durationMs === undefined ? undefined : event.at - event.durationMs));
  const file = filePath(event.input);
  return {
    startedAt,
    ...told(event, byTime),
    endedAt: ended?.at,
    outcome: ended && (ended.outcome === 'denied' ? 'failed' : ended.outcome),
    row: {
      id: toolCallId(session.key, event.toolUse),
      trace_id: traceId,
      hook_type: 'ToolUse',
      hook_name: 'tool',
      tool_use_id: name(event.toolUse),
      ...(event.tool === undefined ? {} : { tool_name: name(event.tool) }),
      ...(event.spanKind === undefined ? {} : { metadata: { span_kind: event.spanKind } }),
      ...(event.subagent === undefined ? {} : { agent_id: event.subagent }),
      ...(file === undefined ? {} : { file_path: file }),
      ...(event.input === undefined ? {} : { input_data: event.input }),
      ...(ended?.output === undefined ? {} : { output_data: ended.output }),
      ...exitCode(ended?.exitCode),
      ...(ended?.outcome === 'denied' ? { decision: 'deny' } : {}),
      ...errorColumns(ended?.error),
    },
  };
}

const errorColumns = (error: Failure | undefined): Partial<HookPatch['row']> =>
  error === undefined ? {} : { error_type: name(error.type), error_message: error.message ?? null };

/** What a command has written may look like the code of its exit. */
function exitCode(code: number | undefined): { exit_code?: number } {
  return code === undefined || code !== (code | 0) ? {} : { exit_code: code };
}

function filePath(input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null) return undefined;
  for (const key of ['file_path', 'notebook_path', 'path'] as const) {
    const value: unknown = Object.hasOwn(input, key) ? (input as Json)[key] : undefined;
    if (typeof value === 'string' && value !== '') return value.slice(0, 4_096);
  }
  return undefined;
}

function hookRunPatch(
  event: Extract<AgentEvent, { kind: 'hook_run' }>,
  session: Session,
  traceId: string,
  byTime: boolean,
): HookPatch {
  return {
    startedAt: event.durationMs === undefined ? undefined : event.at - event.durationMs,
    ...told(event, byTime),
    endedAt: event.at,
    outcome: event.outcome,
    row: {
      id: happeningId(session.key, 'hook', event.id),
      trace_id: traceId,
      hook_type: name(event.event),
      hook_name: name(event.name),
      ...(event.tool === undefined ? {} : { tool_name: name(event.tool) }),
      ...(event.toolUse === undefined ? {} : { tool_use_id: name(event.toolUse) }),
      ...exitCode(event.exitCode),
      ...(event.output === undefined ? {} : { output_data: event.output }),
      ...(event.command === undefined ? {} : { metadata: { command: event.command } }),
    },
  };
}

/** A decision that names its tool use is told in that row; one that is only asked for has a row of its own. */
function permissionPatch(
  event: Extract<AgentEvent, { kind: 'permission' }>,
  session: Session,
  traceId: string,
  byTime: boolean,
): HookPatch {
  const metadata = {
    ...(event.by === undefined ? {} : { decided_by: event.by }),
    ...(event.reason === undefined ? {} : { decision_reason: event.reason }),
  };
  if (event.toolUse !== undefined) {
    const isDenied = event.decision === 'deny';
    return {
      endedAt: isDenied ? event.at : undefined,
      ...told(event, byTime),
      outcome: isDenied ? 'failed' : undefined,
      row: {
        id: toolCallId(session.key, event.toolUse),
        trace_id: traceId,
        hook_type: 'ToolUse',
        hook_name: 'tool',
        tool_use_id: name(event.toolUse),
        ...(event.tool === undefined ? {} : { tool_name: name(event.tool) }),
        decision: event.decision,
        ...(isDenied
          ? { error_type: 'permission_denied', error_message: event.reason ?? null }
          : {}),
        metadata,
      },
    };
  }
  return {
    startedAt: event.at,
    ...told(event, byTime),
    endedAt: event.at,
    outcome: 'completed',
    row: {
      id: happeningId(session.key, 'permission', event.tool ?? '', String(event.at)),
      trace_id: traceId,
      hook_type: event.decision === 'ask' ? 'PermissionRequest' : 'PermissionDenied',
      hook_name: 'permission',
      ...(event.tool === undefined ? {} : { tool_name: name(event.tool) }),
      decision: event.decision,
      ...(event.input === undefined ? {} : { input_data: event.input }),
      metadata,
    },
  };
}

function notePatch(
  event: Extract<AgentEvent, { kind: 'note' }>,
  session: Session,
  traceId: string,
  byTime: boolean,
): HookPatch {
  return {
    startedAt: event.durationMs === undefined ? event.at : event.at - event.durationMs,
    ...told(event, byTime),
    endedAt: event.at,
    outcome: event.error === undefined ? 'completed' : 'failed',
    row: {
      id: happeningId(session.key, 'note', event.event, event.id ?? String(event.at)),
      trace_id: traceId,
      hook_type: name(event.event),
      hook_name: 'event',
      ...errorColumns(event.error),
      ...(event.data === undefined && event.text === undefined
        ? {}
        : {
            output_data: {
              ...(event.text === undefined ? {} : { text: event.text }),
              ...(event.data === undefined ? {} : { data: event.data }),
            },
          }),
    },
  };
}

function spanPatch(
  event: Extract<AgentEvent, { kind: 'span' }>,
  session: Session,
  traceId: string,
  byTime: boolean,
): HookPatch {
  return {
    startedAt: event.startedAt,
    ...told(event, byTime),
    endedAt: event.at,
    outcome: event.outcome,
    row: {
      id: happeningId(session.key, 'span', event.id),
      trace_id: traceId,
      hook_type: 'Span',
      hook_name: name(event.name),
      input_data: event.attributes,
      ...errorColumns(event.error),
      metadata: {
        span_id: event.id,
        ...(event.parent === undefined ? {} : { parent_span_id: event.parent }),
        ...(event.scope === undefined ? {} : { scope: event.scope }),
        ...(event.spanKind === undefined ? {} : { span_kind: event.spanKind }),
      },
    },
  };
}

export function routingRow(
  event: Extract<AgentEvent, { kind: 'routing' }>,
  session: Session,
  traceId: string,
): DecisionRow {
  return {
    id: decisionId(session.key, event.id),
    created_at: event.at,
    trace_id: traceId,
    query_text: event.query ?? null,
    agent_selected: name(event.selected),
    confidence_score: Math.min(1, Math.max(0, event.confidence ?? 1)),
    routing_strategy: name(event.strategy),
    selection_reason: event.reason ?? null,
    decision_duration_ms: event.durationMs === undefined ? null : Math.round(event.durationMs),
  };
}

/** Who tells of a row, when, and how sure its place is. */
function told(
  event: AgentEvent,
  byTime: boolean,
): Pick<HookPatch, 'from' | 'at' | 'byTime' | 'isMoved'> {
  return { from: event.source, at: event.at, byTime, isMoved: event.isMoved };
}

/** What an event tells of a row of hook_executions; undefined: it tells of none. */
export function hookPatch(
  event: AgentEvent,
  session: Session,
  traceId: string,
  byTime: boolean,
): HookPatch | undefined {
  switch (event.kind) {
    case 'tool_started':
    case 'tool_ended':
      return toolPatch(event, session, traceId, byTime);
    case 'hook_run':
      return hookRunPatch(event, session, traceId, byTime);
    case 'permission':
      return permissionPatch(event, session, traceId, byTime);
    case 'note':
      return notePatch(event, session, traceId, byTime);
    case 'span':
      return spanPatch(event, session, traceId, byTime);
    default:
      return undefined;
  }
}
