import { createHash } from 'node:crypto';
import { consoleVersion } from '../../shared/version.js';
import {
  detailNumber,
  detailText,
  eventTitle,
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
  /** 1 internal, 3 client */
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

/**
 * A trace's tree as an OTLP/JSON export request, as collectors take it (`POST /v1/traces`, or the file exporter's
 * lines): ids in hexadecimal, times as strings of nanoseconds. The trace id is the root's correlation id; a span's id
 * is the start of a hash of its row's id, which stands in an attribute.
 */
export function otlpOf(tree: TraceTree): OtlpTraces {
  const root = tree.roots[0] ?? tree.asked;
  const traceId = root.event.correlationId.replaceAll('-', '');
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf({ 'service.name': 'trace-console' }) },
        scopeSpans: [
          {
            scope: { name: 'trace-console', version: consoleVersion() },
            spans: tree.nodes.map((node) => spanOf(node, traceId, tree)),
          },
        ],
      },
    ],
  };
}

function spanOf(node: TraceNode, traceId: string, tree: TraceTree): OtlpSpan {
  const { event, parent } = node;
  const startUs = event.startedUs ?? tree.asOfUs;
  const lengthUs = Math.round((node.endMs - node.startMs) * 1000);
  const message = detailText(event, 'error_message');
  return {
    traceId,
    spanId: spanId(event),
    ...(parent ? { parentSpanId: spanId(parent.event) } : {}),
    name: nameOf(event),
    kind: event.kind === 'endpoint_call' ? 3 : 1,
    startTimeUnixNano: nanoseconds(startUs),
    endTimeUnixNano: nanoseconds(startUs + lengthUs),
    attributes: attributesOf(facts(event)),
    status:
      event.outcome === 'failed'
        ? { code: 2, ...(message === undefined ? {} : { message }) }
        : { code: event.outcome === 'ok' ? 1 : 0 },
  };
}

function spanId({ key }: TraceEvent): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16);
}

function nanoseconds(us: number): string {
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
    'trace_console.in_progress': event.outcome === 'running',
    'error.type': detailText(event, 'error_type'),
    ...factsOfKind(event),
  };
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
        'gen_ai.usage.input_tokens': detailNumber(event, 'input_tokens'),
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
