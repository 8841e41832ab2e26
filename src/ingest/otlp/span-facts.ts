import { parseExactJson, roundedNumber } from '../../core/exact-json.js';
import { byOwnKey, objectOf, readNumber } from '../../core/values.js';
import { ofTraceAlone, type Failure, type OtherSpan, type Usage } from '../events.js';
import { sessionName } from '../ids.js';
import { firstLine, numberOf, stringOf } from '../sources/source.js';
import type { Attributes, TelemetrySpan } from './decode.js';

/**
 * What a span means, in the words of OpenTelemetry's GenAI conventions (also their earlier ones), of OpenInference and of
 * OpenLLMetry.
 */

/** `span`: of another kind; it keeps its name and its place in the tree. */
export type SpanRole = 'agent' | 'model' | 'tool' | 'span';

const roles: ReadonlyMap<string, SpanRole> = new Map([
  ['chat', 'model'],
  ['generate_content', 'model'],
  ['text_completion', 'model'],
  ['embeddings', 'model'],
  ['completion', 'model'],
  ['embedding', 'model'],
  ['llm', 'model'],
  ['execute_tool', 'tool'],
  ['tool', 'tool'],
  ['retriever', 'tool'],
  ['reranker', 'tool'],
  ['retrieval', 'tool'],
  ['invoke_agent', 'agent'],
  ['invoke_workflow', 'agent'],
  ['agent', 'agent'],
]);

const roleNames = [
  'gen_ai.operation.name',
  'openinference.span.kind',
  'traceloop.span.kind',
  'llm.request.type',
] as const;

export function roleOf({ attributes }: TelemetrySpan): SpanRole {
  for (const name of roleNames) {
    const told = textAt(attributes, name)?.toLowerCase();
    const role = told === undefined ? undefined : roles.get(told);
    if (role !== undefined) return role;
  }
  return textAt(attributes, 'mcp.method.name') === 'tools/call' ? 'tool' : 'span';
}

/** The first of some attributes that is there, whatever it holds. */
export function valueAt(attributes: Attributes, ...names: readonly string[]): unknown {
  for (const name of names) {
    const value = byOwnKey(attributes, name) ?? null;
    if (value !== null) return value;
  }
  return undefined;
}

export function textAt(attributes: Attributes, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const text = stringOf(valueAt(attributes, name));
    if (text !== undefined) return text;
  }
  return undefined;
}

/** Some senders write numbers as texts; an integer beyond 2^53 is the largest one: it is not zero. */
export function numberAt(attributes: Attributes, ...names: readonly string[]): number | undefined {
  for (const name of names) {
    const value = valueAt(attributes, name);
    const number =
      typeof value !== 'string'
        ? numberOf(value)
        : integerBeyond.test(value)
          ? Number.MAX_SAFE_INTEGER
          : numberOf(readNumber(value));
    if (number !== undefined) return number;
  }
  return undefined;
}

const integerBeyond = /^(?!0)(?:\d{17,}|9\d{15})$/;

/** JSON that stands in a text, as a value. */
export function jsonAt(attributes: Attributes, ...names: readonly string[]): unknown {
  const value = valueAt(attributes, ...names);
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value;
  try {
    return parseExactJson(value);
  } catch {
    return value;
  }
}

export const sessionNames = [
  'gen_ai.conversation.id',
  'session.id',
  'traceloop.association.properties.session_id',
  'langfuse.session.id',
] as const;

/** The model that answered and what it took; undefined: the span tells no tokens. */
export function usageAt(attributes: Attributes): Usage | undefined {
  const all = numberAt(
    attributes,
    'gen_ai.usage.input_tokens',
    'gen_ai.usage.prompt_tokens',
    'llm.token_count.prompt',
    'llm.usage.prompt_tokens',
  );
  const output = numberAt(
    attributes,
    'gen_ai.usage.output_tokens',
    'gen_ai.usage.completion_tokens',
    'llm.token_count.completion',
    'llm.usage.completion_tokens',
  );
  if (all === undefined && output === undefined) return undefined;
  const cacheRead = numberAt(
    attributes,
    'gen_ai.usage.cache_read.input_tokens',
    'gen_ai.usage.cache_read_input_tokens',
    'llm.token_count.prompt_details.cache_read',
  );
  const cacheCreation = numberAt(
    attributes,
    'gen_ai.usage.cache_write.input_tokens',
    'gen_ai.usage.cache_creation.input_tokens',
    'gen_ai.usage.cache_creation_input_tokens',
    'gen_ai.usage.cache_write_input_tokens',
    'llm.token_count.prompt_details.cache_write',
  );
  const cached = count(cacheRead) + count(cacheCreation);
  const input = count(all);
  return {
    // Cached tokens are part of the input; where they are not, it is smaller than they are.
    input: input >= cached ? input - cached : input,
    output: count(output),
    cacheRead: count(cacheRead),
    cacheCreation: count(cacheCreation),
    cacheCreation1h: 0,
  };
}

/** What columns hold: what anybody sends may be any number. */
export const count = (value: number | undefined): number =>
  Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(value ?? 0)));

/** A cost that no column holds (US dollars) is none. */
const mostCost = 1e7;

const longestName = 256;

export function modelAt(attributes: Attributes): string | undefined {
  const model = textAt(
    attributes,
    'gen_ai.response.model',
    'gen_ai.request.model',
    'llm.response.model_name',
    'llm.model_name',
    'llm.request.model_name',
    'embedding.model_name',
    'reranker.model_name',
    'llm.response.model',
    'llm.request.model',
  );
  return model?.slice(0, longestName);
}

export function providerAt(attributes: Attributes): string {
  const name = textAt(
    attributes,
    'gen_ai.provider.name',
    'gen_ai.system',
    'llm.provider',
    'llm.system',
    'llm.vendor',
    // Not who it is, but more than nothing.
    'server.address',
  );
  return name?.toLowerCase().slice(0, longestName) ?? 'unknown';
}

const costNames = [
  'cost_usd',
  'llm.cost.total',
  'gen_ai.usage.cost',
  'gen_ai.usage.total_cost',
] as const;

export function costAt(attributes: Attributes): number | undefined {
  const cost = numberAt(attributes, ...costNames);
  return cost !== undefined && cost >= 0 && cost < mostCost ? cost : undefined;
}

export function statusCodeAt(
  attributes: Attributes,
  ...more: readonly string[]
): number | undefined {
  const code = numberAt(attributes, 'http.response.status_code', 'http.status_code', ...more);
  return code !== undefined && Number.isInteger(code) && code > 0 && code < 1_000
    ? code
    : undefined;
}

/** A day and a half (ms): nothing that is told as one thing lasts longer. */
const longestMs = 36 * 3_600_000;

export function millisecondsAt(attributes: Attributes, name: string): number | undefined {
  const ms = numberAt(attributes, name);
  return ms !== undefined && ms >= 0 && ms < longestMs ? ms : undefined;
}

export function agentAt({ attributes, name }: TelemetrySpan): string {
  return textAt(attributes, ...agentNames) ?? name.replace(/^invoke_(?:agent|workflow) /, '');
}

const agentNames = [
  'gen_ai.agent.name',
  'gen_ai.workflow.name',
  'agent.name',
  'traceloop.entity.name',
] as const;

export const descriptionAt = ({ attributes }: TelemetrySpan): string | undefined =>
  textAt(attributes, 'gen_ai.agent.description');

export function toolAt({ attributes, name }: TelemetrySpan): string {
  return (
    textAt(attributes, 'gen_ai.tool.name', 'tool.name', 'traceloop.entity.name') ??
    name.replace(/^(?:execute_tool|tools\/call) /, '')
  );
}

/** What a span says of itself; where a convention knows it, what is long stands elsewhere: prompts, answers, tools. */
export function toldBySpan({ name, kind, attributes }: TelemetrySpan, isKnown: boolean): OtherSpan {
  const isShort = (value: unknown) =>
    typeof value === 'string'
      ? value.length <= longestTold
      : typeof roundedNumber(value) !== 'object';
  const told = Object.entries(attributes).filter(([, value]) => !isKnown || isShort(value));
  return { name, ...(kind === undefined ? {} : { kind }), attributes: Object.fromEntries(told) };
}

/** UTF-16 units */
const longestTold = 256;

/** An id that is only counted (`call_1`) comes again in other traces. */
const surelyUnique = 16;

function uniqueId(id: string | undefined, { traceId, spanId }: TelemetrySpan): string {
  if (id === undefined) return spanId;
  return id.length >= surelyUnique ? id : `${traceId}:${id}`;
}

export function inputAt(attributes: Attributes): unknown {
  return jsonAt(
    attributes,
    'gen_ai.tool.call.arguments',
    'input.value',
    'tool.parameters',
    'traceloop.entity.input',
  );
}

export function outputAt(attributes: Attributes): unknown {
  return jsonAt(attributes, 'gen_ai.tool.call.result', 'output.value', 'traceloop.entity.output');
}

/** What failed; undefined: nothing did. */
export function failureOf(span: TelemetrySpan): Failure | undefined {
  const thrown = span.events.find(({ name }) => name === 'exception')?.attributes ?? {};
  const type = textAt(span.attributes, 'error.type') ?? textAt(thrown, 'exception.type');
  if (!span.isError && textAt(span.attributes, 'error.type') === undefined) return undefined;
  const message = span.message ?? textAt(thrown, 'exception.message');
  return {
    type: type?.slice(0, longestName) ?? 'error',
    message: message === undefined ? undefined : firstLine(message),
  };
}

/** What a user said last, as far as a span tells it. */
export function promptAt(span: TelemetrySpan): string | undefined {
  const { attributes } = span;
  const messages = jsonAt(attributes, 'gen_ai.input.messages');
  if (Array.isArray(messages)) {
    const last = messages.map(objectOf).findLast(({ role }) => role === 'user');
    if (last) return partsOf(last);
  }
  return (
    textAt(attributes, 'trace_console.prompt') ??
    countedPrompt(attributes) ??
    promptInEvents(span) ??
    plainInput(jsonAt(attributes, 'input.value', 'traceloop.entity.input'))
  );
}

function partsOf({ parts, content }: Record<string, unknown>): string | undefined {
  if (typeof content === 'string') return content;
  const list = Array.isArray(parts) ? parts : Array.isArray(content) ? content : [];
  const texts = list.map(objectOf).flatMap((part) => stringOf(part.content ?? part.text) ?? []);
  return texts.length === 0 ? undefined : texts.join('\n');
}

const mostPrompts = 64;
const counted = /^(?:gen_ai\.prompt|llm\.prompts|llm\.input_messages)\./;

/** `gen_ai.prompt.0.role`, `llm.prompts.0.role`, `llm.input_messages.0.message.role`, …; the words in one piece or in parts. */
function countedPrompt(attributes: Attributes): string | undefined {
  if (!Object.keys(attributes).some((name) => counted.test(name))) return undefined;
  for (let index = mostPrompts - 1; index >= 0; index -= 1) {
    const prefixes = [
      `gen_ai.prompt.${index}`,
      `llm.prompts.${index}`,
      `llm.input_messages.${index}.message`,
    ];
    for (const prefix of prefixes) {
      if (textAt(attributes, `${prefix}.role`) === 'user') {
        return textAt(attributes, `${prefix}.content`) ?? countedParts(attributes, prefix);
      }
    }
  }
  return undefined;
}

/** `….contents.0.message_content.text`: the texts among them. */
function countedParts(attributes: Attributes, prefix: string): string | undefined {
  const texts: string[] = [];
  for (let part = 0; part < mostPrompts; part += 1) {
    const text = textAt(attributes, `${prefix}.contents.${part}.message_content.text`);
    if (text !== undefined) texts.push(text);
  }
  return texts.length === 0 ? undefined : texts.join('\n');
}

function promptInEvents({ events }: TelemetrySpan): string | undefined {
  const said = events.findLast(({ name }) => name === 'gen_ai.user.message')?.attributes;
  return said && textAt(said, 'content');
}

/** The words in a root's input, where it is a text or has one under a usual name. */
function plainInput(value: unknown): string | undefined {
  for (let within = value; ;) {
    if (typeof within === 'string') return stringOf(within);
    const { inputs, input, question, query, prompt } = objectOf(within);
    const text =
      input ?? question ?? query ?? prompt ?? (typeof inputs === 'string' ? inputs : undefined);
    if (typeof text === 'string') return text;
    if (Object.keys(objectOf(inputs)).length === 0) return undefined;
    within = inputs;
  }
}

export const isOfMcp = ({ attributes }: TelemetrySpan): boolean =>
  textAt(attributes, 'mcp.method.name') !== undefined;

export const haveMet = (one: TelemetrySpan, other: TelemetrySpan): boolean =>
  one.startedAt <= endOf(other) && other.startedAt <= endOf(one);

export const endOf = ({ startedAt, endedAt }: TelemetrySpan) => endedAt ?? startedAt;

export const messageOf = (span: TelemetrySpan): string =>
  uniqueId(textAt(span.attributes, 'gen_ai.response.id'), span);

export const toolUseOf = (span: TelemetrySpan): string =>
  uniqueId(
    textAt(span.attributes, 'gen_ai.tool.call.id', 'gen_ai.tool.call_id', 'tool_call.id'),
    span,
  );

/** Always the same order: which span came first depends on where batches are cut. */
export const byBeginning = (a: TelemetrySpan, b: TelemetrySpan): number =>
  a.startedAt - b.startedAt || (a.spanId < b.spanId ? -1 : 1);

const byRank = (a: TelemetrySpan, b: TelemetrySpan): number =>
  Number(a.parentSpanId !== undefined) - Number(b.parentSpanId !== undefined) || byBeginning(a, b);

/**
 * The session of a trace: what the root says, else the span that began first of those that say one; else the trace itself, until
 * one says it.
 *
 * @param isCut spans may be missing: then the session that is known stays
 */
export function sessionOf(
  spans: readonly TelemetrySpan[],
  before: string | undefined,
  isCut = false,
): string {
  if (isCut && before !== undefined && !before.startsWith(ofTraceAlone)) return before;
  let first: { span: TelemetrySpan; told: string } | undefined;
  for (const span of spans) {
    const told = textAt(span.attributes, ...sessionNames);
    if (told === undefined) continue;
    if (first === undefined || byRank(span, first.span) < 0)
      first = { span, told: sessionName(told) };
  }
  return first?.told ?? before ?? `${ofTraceAlone}${spans[0]?.traceId ?? ''}`;
}
