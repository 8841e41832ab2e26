import { otlpTag } from '../../core/tables.js';
import type { AgentEvent, EventBase, OtherSpan, Place } from '../events.js';
import { sessionName } from '../ids.js';
import type { RetractedRow } from '../row-store.js';
import type { CopiedRow, TelemetrySpan } from './decode.js';
import { rowsOf, type Recorded, type Replaced, type Role, type StagedSpan } from './kept-trace.js';
import {
  agentAt,
  byBeginning,
  costAt,
  descriptionAt,
  endOf,
  failureOf,
  haveMet,
  inputAt,
  isOfMcp,
  messageOf,
  modelAt,
  numberAt,
  outputAt,
  promptAt,
  providerAt,
  roleOf,
  sessionOf,
  statusCodeAt,
  textAt,
  toldBySpan,
  toolAt,
  toolUseOf,
  usageAt,
  valueAt,
  type SpanRole,
} from './span-facts.js';

type Staged = readonly StagedSpan[];

export type TraceEvents = {
  events: AgentEvent[];
  copies: CopiedRow[];
  recorded: Map<string, Recorded>;
  /** Rows of spans that turned out to be something else: they go before the events are recorded. */
  retracted: RetractedRow[];
  /** The trace, and the session under which its rows were written so far, when it turns out to be another. */
  replaced?: Replaced | undefined;
};

/**
 * The events of one trace, from all of its spans that are known. Spans that were written before are told of again
 * only where they belong to somebody else now.
 *
 * @param isCut spans that were written before may be missing: then no row of one is taken back, because a parent would seem to have
 *   no children
 * @param stored the session under which the trace was written when none of its spans is kept any more, or it is archived
 */
export function traceEvents(all: Staged, isCut = false, stored?: string): TraceEvents {
  const own = all.filter(({ span }) => span.row === undefined);
  const result = eventsOfSpans(own, isCut, stored);
  const exported = all.filter(({ span }) => span.row !== undefined);
  const fresh = exported.filter(({ recorded }) => recorded === undefined);
  // What belongs to a trace could not be written before it.
  const hasTrace = fresh.some(({ span }) => span.row?.table === 'execution_traces');
  for (const { span } of hasTrace ? exported : fresh) {
    if (span.row) result.copies.push(span.row);
    result.recorded.set(span.spanId, { session: '', role: 'copy', owner: '' });
  }
  return result;
}

function eventsOfSpans(known: Staged, isCut: boolean, stored?: string): TraceEvents {
  const past = known.find(({ recorded }) => recorded !== undefined)?.recorded;
  const named = stored ?? past?.session;
  const before = named === undefined ? undefined : sessionName(named);
  const isLate = before !== undefined && (stored !== undefined || past?.isLate === true);
  const spans = known.map(({ span }) => span);
  const session = isLate ? before : sessionOf(spans, before, isCut);
  const isReplaced = before !== undefined && before !== session;
  const staged = isReplaced ? spans.map((span) => ({ span })) : known;
  const tree = new SpanTree(staged, session, isLate);
  const result: TraceEvents = {
    ...{ events: [], copies: [], recorded: new Map(), retracted: [] },
    replaced: isReplaced ? { session: before, trace: spans[0]?.traceId ?? '' } : undefined,
  };
  for (const { span, recorded, earlier } of tree.inOrder()) {
    const now = tree.standingOf(span);
    const isSame = recorded?.owner === now.owner && recorded.role === now.role;
    if (isSame && earlier === undefined) continue;
    if (isCut && recorded?.role === 'group' && now.role === 'span') continue;
    result.recorded.set(span.spanId, isLate ? { ...now, isLate } : now);
    if (!isCut && recorded !== undefined) {
      // With its end a span may tell an id of its own: of a response, of a call.
      const stay = recorded.role === now.role ? rowsOf(span, recorded).map(({ id }) => id) : [];
      const were = rowsOf(earlier ?? span, recorded);
      result.retracted.push(...were.filter(({ id }) => !stay.includes(id)));
    }
    const events = eventsOf(span, now, tree);
    result.events.push(
      ...(recorded === undefined
        ? events
        : events.map((event) => ({ ...event, isMoved: true as const }))),
    );
  }
  // What only late spans tell of the trace is less than what is written.
  if (result.recorded.size > 0 && (!isLate || tree.root !== undefined)) {
    const isMoved = before === undefined || isReplaced ? {} : ({ isMoved: true } as const);
    result.events.unshift(...tree.turnEvents().map((event) => ({ ...event, ...isMoved })));
  }
  return result;
}

const agentOf = (holder: TelemetrySpan | undefined): string =>
  (holder && textAt(holder.resource, 'service.name')) ?? 'opentelemetry';

/** The longest chain of parents that is followed. */
const deepest = 1_000;

class SpanTree {
  readonly #staged: ReadonlyMap<string, StagedSpan>;
  /** What each span says by itself; kept, because it is asked for again and again. */
  readonly #told: ReadonlyMap<TelemetrySpan, SpanRole>;
  readonly #children = new Map<string, TelemetrySpan[]>();
  readonly root: TelemetrySpan | undefined;
  /** The root, or what stands in for it. */
  readonly shown: TelemetrySpan | undefined;
  readonly #places = new Map<TelemetrySpan, Place>();
  readonly #session: string;

  constructor(staged: readonly StagedSpan[], session: string, isLate: boolean) {
    this.#staged = new Map(staged.map((each) => [each.span.spanId, each]));
    this.#told = new Map(staged.map(({ span }) => [span, roleOf(span)]));
    for (const { span } of staged) {
      if (span.parentSpanId === undefined) continue;
      const siblings = this.#children.get(span.parentSpanId);
      if (siblings) siblings.push(span);
      else this.#children.set(span.parentSpanId, [span]);
    }
    const spans = staged.map(({ span }) => span);
    const tops = spans.filter((span) => this.#parentOf(span) === undefined).toSorted(byBeginning);
    this.root =
      tops.find(({ parentSpanId }) => parentSpanId === undefined) ??
      (tops.length === 1 && !isLate ? tops[0] : undefined);
    this.shown = this.root ?? spans.toSorted(byBeginning)[0];
    this.#session = session;
  }

  /** Parents first: the row of an agent is there before what happened in it. */
  inOrder(): StagedSpan[] {
    const depth = ({ span }: StagedSpan) => [...this.#ancestorsOf(span)].length;
    return [...this.#staged.values()]
      .map((each) => ({ each, depth: depth(each) }))
      .toSorted((a, b) => a.depth - b.depth || byBeginning(a.each.span, b.each.span))
      .map(({ each }) => each);
  }

  standingOf(span: TelemetrySpan): Recorded {
    const owner = [...this.#ancestorsOf(span)].find((each) =>
      ['agent', 'group'].includes(this.roleOf(each)),
    );
    return { session: this.#session, role: this.roleOf(span), owner: owner?.spanId ?? '' };
  }

  roleOf(span: TelemetrySpan): Role {
    const role = this.#toldOf(span);
    const isHolder = role === 'agent' || role === 'span';
    if (span === this.root && isHolder) return 'turn';
    const children = this.#children.get(span.spanId) ?? [];
    // A library's call that another instrumentation tells of in a span below is one call.
    if (role === 'model' && children.some((child) => this.#toldOf(child) === 'model'))
      return 'group';
    if (role === 'tool' && this.#isRepeated(span)) return 'repeated';
    return role === 'span' && children.length > 0 ? 'group' : role;
  }

  /** Whether a tool's span repeats the one that it is in, or that is beside it: MCP's client is instrumented, too. */
  #isRepeated(span: TelemetrySpan): boolean {
    const parent = this.#parentOf(span);
    const isSame = (other: TelemetrySpan) =>
      this.#toldOf(other) === 'tool' && toolAt(other) === toolAt(span);
    if (parent !== undefined && isSame(parent)) return true;
    if (!isOfMcp(span) || span.parentSpanId === undefined) return false;
    return (this.#children.get(span.parentSpanId) ?? []).some(
      (other) => !isOfMcp(other) && isSame(other) && haveMet(other, span),
    );
  }

  base(span: TelemetrySpan, at: number, owner: string): EventBase {
    const isHolder = ['agent', 'group'].includes(this.roleOf(span));
    const holder = isHolder ? span : (this.#staged.get(owner)?.span ?? this.shown);
    const user = textAt(span.attributes, 'user.id', 'enduser.id');
    return {
      source: 'telemetry',
      agent: agentOf(holder),
      session: this.#session,
      turn: span.traceId,
      subagent: owner === '' ? undefined : owner,
      at,
      place: this.#placeOf(holder, user),
      ofTurn:
        holder === this.shown
          ? undefined
          : { agent: agentOf(this.shown), place: this.#placeOf(this.shown, user) },
    };
  }

  /** The service of a trace is that of its span, whatever other services do in it. */
  #placeOf(holder: TelemetrySpan | undefined, user?: string): Place {
    const known = holder && this.#places.get(holder);
    if (known !== undefined) return user === undefined ? known : { ...known, user };
    const { resource = {} } = holder ?? {};
    // What a console has exported is another console's project.
    const exported = this.root && textAt(this.root.attributes, 'trace_console.project');
    const place = {
      project: exported ?? textAt(resource, 'service.name'),
      version: textAt(resource, 'service.version'),
      user: undefined,
    };
    if (holder) this.#places.set(holder, place);
    return user === undefined ? place : { ...place, user };
  }

  turnEvents(): AgentEvent[] {
    const spans = [...this.#staged.values()].map(({ span }) => span);
    const { shown } = this;
    if (shown === undefined) return [];
    const began = Math.min(...spans.map(({ startedAt }) => startedAt));
    const ends = spans.flatMap(({ endedAt }) => endedAt ?? []);
    const endedAt = this.root ? this.root.endedAt : Math.max(...ends);
    const text = this.#promptOf(shown);
    const base = this.base(shown, began, '');
    const isAgents = spans.some((span) => this.#toldOf(span) !== 'span');
    const origin = isAgents ? undefined : 'telemetry';
    const error = this.root && failureOf(this.root);
    const hasEnded = endedAt !== undefined && Number.isFinite(endedAt);
    const [span, tags] = [this.root && this.#toldRoot(this.root), [otlpTag(shown.traceId)]];
    return [
      { kind: 'prompt', ...base, text, origin, span, tags },
      ...(this.root === undefined ? [] : this.#rootDecision(this.root)),
      ...(hasEnded ? [{ ...base, at: endedAt, kind: 'turn_ended' as const, error }] : []),
    ];
  }

  /** Of a span that only stands in for the root, another part of the trace would say something else. */
  #toldRoot(root: TelemetrySpan): OtherSpan | undefined {
    const role = this.#toldOf(root);
    const isTrace = root.parentSpanId === undefined && (role === 'span' || role === 'agent');
    return isTrace ? toldBySpan(root, role === 'agent') : undefined;
  }

  /** Whoever began the trace asked for this agent. Should a parent of it come, the same decision is one of that. */
  #rootDecision(root: TelemetrySpan): AgentEvent[] {
    if (this.#toldOf(root) !== 'agent') return [];
    const [query, reason] = [promptAt(root), descriptionAt(root)];
    const told = { id: root.spanId, selected: agentAt(root), strategy: 'explicit', query, reason };
    return [{ kind: 'routing', ...this.base(root, root.startedAt, ''), ...told }];
  }

  /** The root may not tell what the user said; the first call of a model does. */
  #promptOf(root: TelemetrySpan): string {
    const calls = [...this.#staged.values()]
      .map(({ span }) => span)
      .filter((span) => ['model', 'agent'].includes(this.#toldOf(span)))
      .toSorted(byBeginning);
    for (const span of [root, ...calls]) {
      const text = promptAt(span);
      if (text !== undefined) return text;
    }
    return root.name;
  }

  #toldOf(span: TelemetrySpan): SpanRole {
    return this.#told.get(span) ?? 'span';
  }

  #parentOf({ parentSpanId }: TelemetrySpan): TelemetrySpan | undefined {
    return parentSpanId === undefined ? undefined : this.#staged.get(parentSpanId)?.span;
  }

  /** The nearest first; a circle of parents ends. */
  *#ancestorsOf(span: TelemetrySpan): Generator<TelemetrySpan> {
    let parent = this.#parentOf(span);
    for (let depth = 0; parent !== undefined && depth < deepest; depth += 1) {
      if (parent === span) return;
      yield parent;
      parent = this.#parentOf(parent);
    }
  }
}

function eventsOf(span: TelemetrySpan, { role, owner }: Recorded, tree: SpanTree): AgentEvent[] {
  const base = tree.base(span, span.startedAt, owner);
  switch (role) {
    case 'turn':
    case 'repeated':
    case 'copy':
      return [];
    case 'agent':
    case 'group':
      return holderEvents(span, role, base);
    case 'model':
      return [modelCall(span, base)];
    case 'tool':
      return toolEvents(span, base);
    case 'span':
      return decision(span, base) ?? [otherSpan(span, base)];
  }
}

/** A routing decision that a console has exported; one for an agent that has a span of its own is known by that. */
function decision(span: TelemetrySpan, base: EventBase): AgentEvent[] | undefined {
  const { attributes } = span;
  const strategy = textAt(attributes, 'trace_console.strategy');
  if (strategy === undefined) return undefined;
  if (strategy === 'delegation') return [];
  const confidence = numberAt(attributes, 'trace_console.confidence');
  const selected = agentAt(span);
  return [{ kind: 'routing', ...base, id: span.spanId, selected, strategy, confidence }];
}

function holderEvents(span: TelemetrySpan, role: 'agent' | 'group', base: EventBase): AgentEvent[] {
  const isAgent = role === 'agent';
  const started = {
    kind: 'subagent_started' as const,
    ...base,
    id: span.spanId,
    prompt: promptAt(span) ?? span.name,
    span: toldBySpan(span, isAgent),
    ...(isAgent
      ? { type: agentAt(span), description: descriptionAt(span) }
      : { origin: 'telemetry' }),
  };
  if (span.endedAt === undefined) return [started];
  const error = failureOf(span);
  return [started, { kind: 'subagent_ended', ...base, id: span.spanId, at: span.endedAt, error }];
}

function modelCall(span: TelemetrySpan, base: EventBase): AgentEvent {
  const { attributes } = span;
  const reasons = valueAt(attributes, 'gen_ai.response.finish_reasons');
  const seconds = numberAt(attributes, 'gen_ai.response.time_to_first_chunk');
  return {
    kind: 'model_call',
    ...base,
    at: endOf(span),
    message: messageOf(span),
    provider: providerAt(attributes),
    model: modelAt(attributes),
    endpoint: textAt(attributes, 'gen_ai.operation.name') ?? span.name,
    startedAt: span.startedAt,
    usage: usageAt(attributes),
    finishReason: Array.isArray(reasons)
      ? String(reasons[0])
      : textAt(attributes, 'gen_ai.response.finish_reasons'),
    timeToFirstTokenMs: seconds === undefined ? undefined : Math.round(seconds * 1_000),
    costUsd: costAt(attributes),
    statusCode: statusCodeAt(attributes),
    error: failureOf(span),
    spanKind: span.kind,
  };
}

function toolEvents(span: TelemetrySpan, base: EventBase): AgentEvent[] {
  const { attributes, startedAt, endedAt } = span;
  const [tool, input] = [toolAt(span), inputAt(attributes)];
  const call = { toolUse: toolUseOf(span), tool, input, spanKind: span.kind };
  if (endedAt === undefined) return [{ kind: 'tool_started', ...base, ...call }];
  const error = failureOf(span);
  return [
    {
      kind: 'tool_ended',
      ...base,
      at: endedAt,
      ...call,
      startedAt,
      output: outputAt(attributes),
      outcome: error ? 'failed' : 'completed',
      error,
    },
  ];
}

function otherSpan(span: TelemetrySpan, base: EventBase): AgentEvent {
  const error = failureOf(span);
  return {
    kind: 'span',
    ...base,
    at: endOf(span),
    id: span.spanId,
    name: span.name,
    startedAt: span.startedAt,
    outcome: error ? 'failed' : 'completed',
    error,
    attributes: { ...span.attributes },
    parent: span.parentSpanId,
    scope: span.scope,
    spanKind: span.kind,
  };
}
