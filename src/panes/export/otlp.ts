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
  session?: string | undefined;
};

const noExtras: OtlpExtras = { calls: new Map() };

/**
 * A trace's tree as an OTLP/JSON export request, as collectors take it (`POST /v1/traces`, or the file exporter's
 * lines): ids in hexadecimal, times as strings of nanoseconds. The trace id is the root's correlation id; a span's id
 * is the start of a hash of its row's id, which stands in an attribute.
 */
export function otlpOf(tree: TraceTree, extras = noExtras): OtlpTraces {
  const root = tree.roots[0] ?? tree.asked;
  const traceId = root.event.correlationId.replaceAll('-', '');
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf({ 'service.name': 'trace-console' }) },
        scopeSpans: [
          {
            scope: { name: 'trace-console', version: consoleVersion() },
            spans: tree.nodes.map((node) => spanOf(node, traceId, tree, extras)),
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
    attributes: attributesOf({ ...facts(event), ...genAiFacts(node, extras) }),
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
