import { parseDuration } from '../../core/format/time.js';
import { otlpMetrics, type Metric } from '../../core/format/open-metrics.js';
import { consoleVersion } from '../../core/version.js';
import { withoutControls } from '../../core/control-sequences.js';
import { parseExactJson } from '../../core/exact-json.js';
import { counted, withSeparators } from '../../core/format/number.js';
import { ConsoleError } from '../../db/errors.js';
import { given, objectOf, readNumber } from '../../core/values.js';

/** A receiver of metrics that takes longer (ms) is away. */
const sendTimeoutMs = 10_000;

const usualMetricsEveryMs = 60_000;
const leastMetricsEveryMs = 10_000;

/** How often metrics are sent (ms); undefined: that is no time, or too short a one. */
export function metricsEvery(text: string | undefined): number | undefined {
  const ms = text === undefined ? usualMetricsEveryMs : parseDuration(text);
  return ms !== undefined && ms >= leastMetricsEveryMs ? ms : undefined;
}

/**
 * Where a base of OTLP/HTTP takes metrics.
 *
 * @param setting for the message: `--to`
 * @throws ConsoleError `usage`
 */
export function metricsUrl(text: string, setting: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new ConsoleError('usage', `${setting} does not understand "${text}".`, {
      hint: 'The base of an OTLP/HTTP endpoint, for example http://127.0.0.1:9090/api/v1/otlp.',
    });
  }
  const path = url.pathname.replace(/\/$/, '');
  url.pathname = path.endsWith('/v1/metrics') ? path : `${path}/v1/metrics`;
  return url;
}

/** `name=value,name=value`, percent-encoded, as the specification has it. */
function headersOf(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '').split(',').flatMap((pair) => {
    const [name = '', ...value] = pair.split('=');
    return name.trim() === '' ? [] : [[name.trim(), decodeURIComponent(value.join('=').trim())]];
  });
  return Object.fromEntries(pairs) as Record<string, string>;
}

/** What is read of an answer (UTF-16 units), and told of it. */
const longestAnswer = 65_536;
const longestReason = 300;

/** A receiver answers 200 and says how many data points it did not take, and why; or only warns. */
function partialSuccess(answer: string): { rejected: number; message: string } {
  let told: Record<string, unknown> = {};
  try {
    const read = objectOf(parseExactJson(answer.slice(0, longestAnswer)));
    told = objectOf(read.partialSuccess ?? read.partial_success);
  } catch {
    // No JSON: it says nothing of it.
  }
  const count = told.rejectedDataPoints ?? told.rejected_data_points;
  const rejected = typeof count === 'number' ? count : readNumber(stringOf(count)) || 0;
  const message = stringOf(told.errorMessage ?? told.error_message) ?? '';
  return { rejected, message: withoutControls(message).slice(0, longestReason) };
}

const stringOf = (value: unknown) => (typeof value === 'string' ? value : undefined);

/**
 * One OTLP request, as JSON, with the headers of `OTEL_EXPORTER_OTLP_HEADERS`.
 *
 * @param windowMs what the metrics were read of
 * @returns what the receiver says though it has taken all; empty: nothing
 * @throws ConsoleError `query_failed` where they are not taken, or not all of them
 */
export async function sendMetrics(
  url: URL,
  metrics: readonly Metric[],
  windowMs: number,
): Promise<string> {
  const request = otlpMetrics(metrics, { version: consoleVersion(), nowMs: Date.now(), windowMs });
  const headers = headersOf(given(process.env.OTEL_EXPORTER_OTLP_HEADERS));
  const failed = (reason: string, cause?: unknown) =>
    new ConsoleError('query_failed', `${url.host} did not take the metrics: ${reason}.`, {
      hint: 'It is asked by OTLP over HTTP with JSON at /v1/metrics.',
      ...(cause === undefined ? {} : { cause }),
    });
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(sendTimeoutMs),
  }).catch((error: unknown) => {
    throw failed(error instanceof Error ? error.message : String(error), error);
  });
  if (!answer.ok) {
    await answer.body?.cancel();
    throw failed(`status ${answer.status}`);
  }
  const { rejected, message } = partialSuccess(await answer.text().catch(() => ''));
  if (rejected <= 0) return message;
  const points = metrics.reduce((sum, { samples }) => sum + samples.length, 0);
  const reason = message === '' ? 'it gives no reason' : message;
  throw new ConsoleError(
    'query_failed',
    `${url.host} did not take ${withSeparators(rejected)} of ${counted(points, 'data point')}: ${reason}.`,
    rejected < points ? { hint: 'The others were taken. That is a partial success of OTLP.' } : {},
  );
}

/**
 * Sends metrics again and again, until it is stopped. One round that fails is left out; that it failed is told once, until
 * one has been taken again.
 *
 * @param read undefined: they cannot be read now
 * @returns what stops it
 */
export function sendMetricsEvery(
  everyMs: number,
  url: URL,
  read: () => Promise<{ metrics: readonly Metric[]; windowMs: number } | undefined>,
  onProblem: (message: string) => void,
): () => void {
  let isSending = false;
  let hasFailed = false;
  const round = async () => {
    if (isSending) return;
    isSending = true;
    try {
      const found = await read();
      if (found !== undefined) await sendMetrics(url, found.metrics, found.windowMs);
      hasFailed = false;
    } catch (error) {
      if (!hasFailed) onProblem(error instanceof Error ? error.message : String(error));
      hasFailed = true;
    } finally {
      isSending = false;
    }
  };
  const timer = setInterval(() => void round(), everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
