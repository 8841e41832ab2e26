import { createHash } from 'node:crypto';
import { consoleVersion } from '../../core/version.js';
import {
  detailNumber,
  detailText,
  eventTitle,
  infiniteStart,
  kindWords,
  type TraceEvent,
} from '../trace/event.js';
import type { TraceNode, TraceTree } from '../trace/tree.js';

type AnyValue =
  { stringValue: string } | { intValue: string } | { doubleValue: number } | { boolValue: boolean };

export type OtlpAttribute = { key: string; value: AnyValue };

export type OtlpSpan = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer */
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: OtlpAttribute[];
  /** 0 unset, 1 ok, 2 error */
  status: { code: number; message?: string };
};

export type OtlpTraces = {
  resourceSpans: {
    resource: { attributes: OtlpAttribute[] };
    scopeSpans: { scope: { name: string; version: string }; spans: OtlpSpan[] }[];
  }[];
};

/** What a row of endpoint_calls that is a call of a model says of it. Tokens: `input` is uncached. */
export type ModelCallFacts = {
  provider: string;
  model: string | null;
  finished: string | null;
  input: number | null;
  output: number | null;
  cacheRead: number | null;
  cacheCreation: number | null;
  costUsd: number | null;
};

/** What a trace's timeline does not hold. */
export type OtlpExtras = {
  /** By the ids of their rows. */
  calls: ReadonlyMap<string, ModelCallFacts>;
  /** Whole rows as JSON, by the keys of their events. */
  rows: ReadonlyMap<string, string>;
  session?: string | undefined;
};

const noExtras: OtlpExtras = { calls: new Map(), rows: new Map() };

/**
 * A trace's tree as an OTLP/JSON export request, as collectors take it (`POST /v1/traces`, or the file exporter's
 * lines): ids in hexadecimal, times as strings of nanoseconds. The trace id is the root's correlation id; a span's id
 * is the start of a hash of its row's id. The row stands in an attribute, by which "import otlp" finds or makes it.
 *
 * @param nodes of the tree, in its order; default: all
 */
export function otlpOf(
  tree: TraceTree,
  extras = noExtras,
  nodes: readonly TraceNode[] = tree.nodes,
): OtlpTraces {
  const root = tree.roots[0] ?? tree.asked;
  const traceId = root.event.correlationId.replaceAll('-', '');
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf({ 'service.name': 'trace-console' }) },
        scopeSpans: [
          {
            scope: { name: 'trace-console', version: consoleVersion() },
            spans: nodes.map((node) => spanOf(node, traceId, tree, extras)),
          },
        ],
      },
    ],
  };
}

function spanOf(node: TraceNode, traceId: string, tree: TraceTree, extras: OtlpExtras): OtlpSpan {
  const { event, parent } = node;
  const startUs = event.startedUs ?? tree.asOfUs;
  const lengthUs = Math.round((node.endMs - node.startMs) * 1000);
  const message = detailText(event, 'error_message');
  return {
    traceId,
    spanId: spanId(event),
    ...(parent ? { parentSpanId: spanId(parent.event) } : {}),
    name: nameOf(event),
    kind: spanKind(event),
    startTimeUnixNano: nanoseconds(startUs),
    endTimeUnixNano: nanoseconds(startUs + lengthUs),
    attributes: attributesOf({
      ...facts(event),
      ...genAiFacts(node, extras),
      'trace_console.row': extras.rows.get(event.key) ?? shownRow(node, tree),
    }),
    status:
      event.outcome === 'failed'
        ? { code: 2, ...(message === undefined ? {} : { message }) }
        : { code: event.outcome === 'ok' ? 1 : 0 },
  };
}

const spanKinds = ['', 'internal', 'server', 'client', 'producer', 'consumer'];

function spanKind(event: TraceEvent): number {
  const told = spanKinds.indexOf(detailText(event, 'span_kind') ?? '');
  return told > 0 ? told : event.kind === 'endpoint_call' ? 3 : 1;
}

function spanId({ key }: TraceEvent): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16);
}

/** Without a sign, in 64 bits: what is infinite is as far away as that goes, and an attribute says so. */
function nanoseconds(us: number): string {
  if (!Number.isFinite(us)) return us > 0 ? String(2n ** 64n - 1n) : '0';
  return String(BigInt(Math.round(us)) * 1000n);
}

function nameOf(event: TraceEvent): string {
  return event.kind === 'routing_decision' ? `route ${event.name}` : eventTitle(event);
}

type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

/** In OpenTelemetry's words where it has them (HTTP, GenAI, errors), else under `trace_console.`. */
function facts(event: TraceEvent): Facts {
  return {
    'trace_console.kind': kindWords[event.kind],
    'trace_console.id': event.id,
    'trace_console.archived': event.archived,
    'trace_console.started_at': infiniteStart(event),
    'trace_console.in_progress': event.outcome === 'running',
    'error.type': detailText(event, 'error_type'),
    ...factsOfKind(event),
  };
}

/** What agents, tools and calls of models are in the words of the GenAI conventions. */
function genAiFacts({ event, parent, agent }: TraceNode, { calls, session }: OtlpExtras): Facts {
  switch (event.kind) {
    case 'trace': {
      const isAgent = event.name === 'agent_delegation';
      return {
        ...(parent === undefined ? { 'gen_ai.conversation.id': session } : {}),
        ...(isAgent ? { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': agent } : {}),
        // Its calls tell them: a backend that adds up spans would count them twice.
        ...(calls.size === 0
          ? {}
          : {
              'gen_ai.request.model': undefined,
              'gen_ai.usage.input_tokens': undefined,
              'gen_ai.usage.output_tokens': undefined,
            }),
      };
    }
    case 'hook':
      return detailText(event, 'type') === 'ToolUse'
        ? { 'gen_ai.operation.name': 'execute_tool' }
        : {};
    case 'endpoint_call':
      return modelCallFacts(calls.get(event.id));
    case 'routing_decision':
      return {};
  }
}

function modelCallFacts(call: ModelCallFacts | undefined): Facts {
  if (call === undefined) return {};
  const { input, cacheRead, cacheCreation } = call;
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': call.provider,
    'gen_ai.request.model': call.model ?? undefined,
    'gen_ai.usage.input_tokens':
      input === null ? undefined : input + (cacheRead ?? 0) + (cacheCreation ?? 0),
    'gen_ai.usage.cache_read.input_tokens': cacheRead ?? undefined,
    'gen_ai.usage.cache_creation.input_tokens': cacheCreation ?? undefined,
    'gen_ai.usage.output_tokens': call.output ?? undefined,
    'gen_ai.response.finish_reasons': call.finished ?? undefined,
    'gen_ai.usage.cost': call.costUsd ?? undefined,
  };
}

/** All input of a trace, from a cache or not: so the conventions count it. */
function tokensIn(event: TraceEvent): number | undefined {
  const kinds = ['input_tokens', 'cache_read_tokens', 'cache_creation_tokens'];
  const known = kinds.flatMap((kind) => detailNumber(event, kind) ?? []);
  return known.length === 0 ? undefined : known.reduce((sum, count) => sum + count, 0);
}

function factsOfKind(event: TraceEvent): Facts {
  switch (event.kind) {
    case 'trace':
      return {
        'trace_console.correlation_id': event.correlationId,
        'trace_console.status': event.status ?? undefined,
        'trace_console.prompt': detailText(event, 'prompt'),
        'user.id': detailText(event, 'user_id'),
        'trace_console.project': detailText(event, 'project'),
        'gen_ai.request.model': detailText(event, 'model'),
        'gen_ai.usage.input_tokens': tokensIn(event),
        'gen_ai.usage.output_tokens': detailNumber(event, 'output_tokens'),
        'trace_console.cost_usd': detailNumber(event, 'cost_usd'),
      };
    case 'routing_decision':
      return {
        'gen_ai.agent.name': event.name,
        'trace_console.confidence': detailNumber(event, 'confidence'),
        'trace_console.strategy': detailText(event, 'strategy'),
      };
    case 'hook':
      return {
        'trace_console.hook_type': detailText(event, 'type'),
        'gen_ai.tool.name': detailText(event, 'tool'),
        'gen_ai.tool.call.id': detailText(event, 'tool_use_id'),
        'file.path': detailText(event, 'file_path'),
        'process.exit.code': detailNumber(event, 'exit_code'),
      };
    case 'endpoint_call':
      return {
        'peer.service': event.name,
        'http.request.method': detailText(event, 'method'),
        'url.full': detailText(event, 'url'),
        'http.response.status_code': detailNumber(event, 'status_code'),
        'http.request.resend_count': detailNumber(event, 'retry_count'),
      };
  }
}

function attributesOf(given: Facts): OtlpAttribute[] {
  return Object.entries(given).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValue(value) }],
  );
}

function anyValue(value: string | number | boolean): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** As much of a row as the tree shows, as JSON; undefined: too little to write it elsewhere. */
function shownRow(node: TraceNode, tree: TraceTree): string | undefined {
  const { event } = node;
  const values = valuesOfKind(node, tree);
  if (values === undefined || !Number.isFinite(event.startedUs)) return undefined;
  return JSON.stringify({ id: event.id, ...values });
}

function valuesOfKind({ event, parent }: TraceNode, tree: TraceTree): object | undefined {
  const { startedUs, durationMs } = event;
  const text = (name: string) => detailText(event, name);
  const number = (name: string) => detailNumber(event, name);
  const started_at = momentText(startedUs ?? 0);
  const completed_at =
    durationMs === null ? undefined : momentText((startedUs ?? 0) + durationMs * 1_000);
  const work = {
    started_at,
    completed_at,
    duration_ms: durationMs ?? undefined,
    error_type: text('error_type'),
    error_message: text('error_message'),
  };
  const trace_id = event.traceId;
  const span_kind = text('span_kind');
  switch (event.kind) {
    case 'trace': {
      const session_id = text('session');
      if (session_id === undefined) return undefined;
      const root = tree.roots[0] ?? tree.asked;
      return {
        correlation_id: event.correlationId,
        root_id: root.event.correlationId,
        parent_id: parent?.event.correlationId,
        session_id,
        user_id: text('user_id'),
        project: text('project'),
        source: event.name,
        prompt_text: text('prompt'),
        status: event.status ?? undefined,
        model: text('model'),
        input_tokens: number('input_tokens'),
        output_tokens: number('output_tokens'),
        cache_read_tokens: number('cache_read_tokens'),
        cache_creation_tokens: number('cache_creation_tokens'),
        cost_usd: number('cost_usd'),
        ...(span_kind === undefined ? {} : { context: { span: { kind: span_kind } } }),
        ...work,
      };
    }
    case 'routing_decision':
      return {
        trace_id,
        created_at: started_at,
        agent_selected: event.name,
        confidence_score: number('confidence'),
        routing_strategy: text('strategy'),
        selection_reason: text('reason'),
        decision_duration_ms: durationMs ?? undefined,
      };
    case 'hook':
      return {
        trace_id,
        hook_type: text('type'),
        hook_name: event.name,
        execution_order: number('order'),
        tool_name: text('tool'),
        tool_use_id: text('tool_use_id'),
        agent_id: text('agent_id'),
        file_path: text('file_path'),
        status: event.status ?? undefined,
        exit_code: number('exit_code'),
        decision: text('decision'),
        ...(span_kind === undefined ? {} : { metadata: { span_kind } }),
        ...work,
      };
    case 'endpoint_call': {
      const usage = {
        input: number('uncached'),
        output: number('output'),
        cacheRead: number('cache_read'),
        cacheCreation: number('cache_written'),
      };
      const usd = number('call_cost_usd');
      const isCall = text('model') !== undefined;
      return {
        trace_id,
        hook_execution_id: parent?.event.kind === 'hook' ? parent.event.id : undefined,
        service_name: event.name,
        endpoint_url: text('url'),
        http_method: text('method'),
        status_code: number('status_code'),
        retry_count: number('retry_count'),
        ...(isCall
          ? {
              context: {
                model: text('model'),
                usage,
                ...(usd === undefined ? {} : { cost: { usd } }),
              },
            }
          : {}),
        ...work,
      };
    }
  }
}

/** ISO 8601 to the microsecond. */
function momentText(us: number): string | undefined {
  const date = new Date(Math.floor(us / 1_000));
  if (Number.isNaN(date.getTime())) return undefined;
  const micros = String(Math.round(us - Math.floor(us / 1_000) * 1_000)).padStart(3, '0');
  return date.toISOString().replace('Z', `${micros}Z`);
}
