import { context, SpanStatusCode, trace, type Attributes, type Span } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';

/** A clock of its own: spans last as long as they are told to. */
let clockMs = 1_790_000_000_000;
const passed = (ms: number) => (clockMs += ms);

/**
 * Sends what a service with two agents does, through the SDK's own exporter: an agent that asks a model, calls tools, hands
 * over to another agent, and a step of the service's own.
 */
export async function sendTrace(exporter: SpanExporter, conversation: string): Promise<string> {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'shop-assistant' }),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxExportBatchSize: 3 })],
  });
  const tracer = provider.getTracer('shop');
  const span = (name: string, attributes: Attributes, parent?: Span): Span => {
    const within = parent ? trace.setSpan(context.active(), parent) : context.active();
    return tracer.startSpan(name, { attributes, startTime: passed(10) }, within);
  };
  const end = (...spans: Span[]) => {
    for (const each of spans) each.end(passed(100));
  };
  const chat = (parent: Span, response: string) =>
    span(
      'chat gpt-5.5',
      {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'gpt-5.5',
        'gen_ai.response.model': 'gpt-5.5',
        'gen_ai.response.id': response,
        'gen_ai.response.finish_reasons': ['stop'],
        'gen_ai.usage.input_tokens': 1_000,
        'gen_ai.usage.cache_read.input_tokens': 600,
        'gen_ai.usage.output_tokens': 50,
      },
      parent,
    );
  const agent = (name: string, parent?: Span, more: Attributes = {}) =>
    span(
      `invoke_agent ${name}`,
      { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': name, ...more },
      parent,
    );
  const root = agent('planner', undefined, {
    'gen_ai.conversation.id': conversation,
    'gen_ai.input.messages': JSON.stringify([
      { role: 'user', parts: [{ type: 'text', content: 'Which orders are late?' }] },
    ]),
  });
  end(chat(root, `chatcmpl-${conversation}-first`));
  const tool = span(
    'execute_tool find_orders',
    {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'find_orders',
      'gen_ai.tool.call.id': 'call_1',
      'gen_ai.tool.call.arguments': '{"late":true,"api_key":"sk-0123456789abcdefghij"}',
      'error.type': 'timeout',
    },
    root,
  );
  tool.setStatus({ code: SpanStatusCode.ERROR, message: 'no answer in 5 s' });
  end(tool);
  const worker = agent('researcher', root);
  const step = span('read cache', { 'db.system': 'redis' }, worker);
  end(step, chat(worker, `chatcmpl-${conversation}-second`), worker, root);
  await provider.shutdown();
  return root.spanContext().traceId;
}
