import { countedShort, formatBytes, formatShare } from '../core/format/number.js';
import { formatSpan } from '../core/format/time.js';
import {
  bytesColumn,
  type Column,
  countColumn,
  durationColumn,
  failuresColumn,
  maxColumn,
  p95Column,
  type Sort,
  type SummaryLine,
  textColumn,
  trendColumn,
  trendParts,
} from './contract/column.js';
import {
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  usualLimits,
  chooseLonger,
} from './contract/pane.js';
import { columnOrNull, joinedSql, type SchemaShape } from './contract/shape.js';
import { type CallGroup, CallsReader } from './reading/calls-reader.js';
import { type CallSource, columnOf, groupKey } from './reading/calls.js';
import {
  beforeOf,
  beforeSegment,
  callFigures,
  callsChangeColumn,
  callsIn,
  comparedCalls,
  type ComparedRow,
  growthSort,
  p95ChangeColumn,
  slowedSort,
  WindowBefore,
} from './reading/comparison.js';
import { timed } from './reading/late-rows.js';
import { within } from './reading/windows.js';
import { eventsOpening } from './trace/events-opening.js';
import { boundedText } from '../db/quote.js';

/** Identifiers in a path would make every call an endpoint of its own. */
const pathId = "'/([0-9]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24,64})(?=/|$)'";

/**
 * Endpoint calls by service, method and URL without query and identifiers. Sums: answers of the classes 2xx or
 * 3xx, 4xx and 5xx, calls that ended without an answer, retries, bytes sent, bytes received, and of how many calls
 * the two are known: transcripts and most telemetry tell no sizes.
 */
export function endpointSource(shape: SchemaShape): CallSource {
  const column = columnOf(shape, 'endpoint_calls', 'c');
  const status = column('status_code', 'integer');
  const success = column('success', 'boolean');
  const isIn = (least: number, beyond: number) =>
    `CASE WHEN ${status} >= ${least} AND ${status} < ${beyond} THEN 1 ELSE 0 END`;
  const isKnown = (size: string) =>
    `CASE WHEN ${column(size, 'bigint')} IS NOT NULL THEN 1 ELSE 0 END`;
  const url = column('endpoint_url', 'text');
  const path = `split_part(${url}, '?', 1)`;
  return {
    from: 'endpoint_calls AS c',
    at: 'c.started_at',
    groups: [
      'c.service_name',
      boundedText(column('http_method', 'text'), 32),
      `regexp_replace(CASE WHEN octet_length(${url}) <= 256 THEN ${path} ELSE ${boundedText(path, 256)} END, ${pathId}, '/:id', 'g')`,
    ],
    failed: `${success} = false`,
    inProgress: `${success} IS NULL`,
    duration: column('duration_ms', 'bigint'),
    sums: [
      isIn(200, 400),
      isIn(400, 500),
      isIn(500, 600),
      `CASE WHEN ${status} IS NULL AND ${success} = false THEN 1 ELSE 0 END`,
      column('retry_count', 'integer'),
      column('request_bytes', 'bigint'),
      column('response_bytes', 'bigint'),
      isKnown('request_bytes'),
      isKnown('response_bytes'),
    ],
    reads: [timed.calls],
  };
}

/** `$1` and `$2`; behind them what the rows are chosen by. */
const inWindow = within('started_at', '$1', '$2');

/**
 * The calls of an endpoint. `$1`, `$2`: window, `$3`: service, `$4`: method, `$5`: URL as the pane groups them, or NULL.
 * Reads the window of that service by idx_endpoint_calls_service. Texts are cut.
 */
function callsOfEndpointStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'endpoint_calls', column, type);
  const [service = '', method = '', url = ''] = endpointSource(shape).groups;
  const retries = `NULLIF(${optional('retry_count', 'integer')}, 0) || ' retries'`;
  const detail = `COALESCE(${boundedText(optional('error_message', 'text'), 300)}, ${boundedText(optional('endpoint_url', 'text'), 300)})`;
  return `
SELECT
  'endpoint_call' AS kind,
  ${optional('id', 'uuid')} AS id,
  ${optional('trace_id', 'uuid')} AS trace_id,
  started_at,
  ${optional('duration_ms', 'bigint')} AS duration_ms,
  COALESCE(${optional('success', 'boolean')} = false, false) AS failed,
  ${joinedSql(' ', boundedText(optional('http_method', 'text'), 32), optional('status_code', 'integer'), retries)} AS what,
  ${joinedSql(': ', boundedText(optional('error_type', 'text'), 200), detail)} AS text
FROM endpoint_calls AS c
WHERE ${service} = $3 AND ${method} IS NOT DISTINCT FROM $4 AND ${url} IS NOT DISTINCT FROM $5 AND ${inWindow}`;
}

/** Calls of one endpoint of a service, over the window. */
type EndpointRow = ComparedRow & {
  service: string;
  method: string | null;
  /** Without query; identifiers in its path as `:id`. */
  url: string | null;
  failures: number;
  inProgress: number;
  p50Ms: number | null;
  maxMs: number | null;
  totalMs: number;
  /** Answers by class: 2xx and 3xx, 4xx, 5xx. */
  answered: number;
  refused: number;
  broken: number;
  /** Failed without an answer. */
  unanswered: number;
  retries: number;
  /** Null: of no call it is known. */
  requestBytes: number | null;
  responseBytes: number | null;
  lastCall: Date;
  /** Calls by twelfth of the window, oldest first. */
  trend: readonly number[];
};

type EndpointsExtras = {
  windowMs: number;
  calls: number;
  /** Of the window before; null where that is not counted (windows over a day). */
  callsBefore: number | null;
  failures: number;
  /** Null: of no call it is known. */
  bytes: number | null;
  percentileError: number;
};

class EndpointsReader implements PaneReader<EndpointRow, EndpointsExtras> {
  readonly #calls = new CallsReader({ source: endpointSource, trendParts });
  readonly #before = new WindowBefore({ source: endpointSource });

  async read(request: ReadRequest): Promise<PaneResult<EndpointRow, EndpointsExtras>> {
    return request.transaction(async (tx) => {
      const { found, before, share } = await this.#before.readWith(this.#calls, tx, request);
      const { groups, endMs, percentileError } = found;
      const rows = groups
        .map((group) => ({ ...rowOf(group), ...beforeOf(before, groupKey(group.groups)) }))
        .sort((a, b) => b.totalMs - a.totalMs || b.calls - a.calls);
      const sum = (value: (row: EndpointRow) => number) =>
        rows.reduce((total, row) => total + value(row), 0);
      return {
        rows,
        extras: {
          windowMs: request.windowMs,
          calls: sum(({ calls }) => calls),
          callsBefore: callsIn(before),
          failures: sum(({ failures }) => failures),
          bytes: rows.every((row) => bytesOf(row) === null)
            ? null
            : sum((row) => bytesOf(row) ?? 0),
          percentileError,
        },
        asOf: new Date(endMs),
        notes: [],
        ...(share < 1 ? { loading: { share } } : {}),
      };
    });
  }

  reset(): void {
    this.#calls.reset();
    this.#before.reset();
  }
}

function rowOf({
  groups,
  lastMs,
  sums,
  ...figures
}: CallGroup): Omit<EndpointRow, 'callsBefore' | 'failuresBefore' | 'p95BeforeMs'> {
  const [service, method, url] = groups;
  const [answered, refused, broken, unanswered, retries, requestBytes = 0, responseBytes = 0] =
    sums;
  const [knownRequests = 0, knownResponses = 0] = sums.slice(7);
  return {
    service: service ?? '',
    method: method ?? null,
    url: url ?? null,
    ...figures,
    answered: answered ?? 0,
    refused: refused ?? 0,
    broken: broken ?? 0,
    unanswered: unanswered ?? 0,
    retries: retries ?? 0,
    requestBytes: knownRequests > 0 ? requestBytes : null,
    responseBytes: knownResponses > 0 ? responseBytes : null,
    lastCall: new Date(lastMs),
  };
}

/** Sent and received together; null: of no call it is known. */
function bytesOf({ requestBytes, responseBytes }: EndpointRow): number | null {
  if (requestBytes === null && responseBytes === null) return null;
  return (requestBytes ?? 0) + (responseBytes ?? 0);
}

function summaryOf({
  calls,
  callsBefore,
  failures,
  bytes,
  windowMs,
}: EndpointsExtras): SummaryLine[] {
  return [
    [
      { text: `${countedShort(calls, 'call')} in ${formatSpan(windowMs)}` },
      failures > 0
        ? { text: `${formatShare(failures / calls)} failed`, tone: 'error' }
        : { text: 'none failed', tone: 'success' },
      ...(bytes === null
        ? []
        : [{ text: `${formatBytes(bytes)} sent and received`, tone: 'muted' as const }]),
      ...beforeSegment(calls, callsBefore, windowMs),
    ],
  ];
}

const endpointsColumns: readonly Column<EndpointRow>[] = [
  textColumn({
    id: 'service',
    title: 'service',
    value: ({ service }) => service,
    priority: 1,
    minWidth: 12,
    maxWidth: 24,
  }),
  textColumn({
    id: 'method',
    title: 'method',
    value: ({ method }) => method,
    tone: () => 'muted',
    priority: 5,
    minWidth: 6,
    maxWidth: 6,
  }),
  textColumn({
    id: 'url',
    title: 'url',
    value: ({ url }) => url,
    priority: 2,
    minWidth: 16,
    cut: 'middle',
  }),
  countColumn({ id: 'calls', title: 'calls', value: ({ calls }) => calls, priority: 2 }),
  callsChangeColumn(5),
  durationColumn({ id: 'p50Ms', title: 'p50', value: ({ p50Ms }) => p50Ms, priority: 4 }),
  p95Column(1),
  p95ChangeColumn(3),
  maxColumn(6),
  failuresColumn(1),
  countColumn({
    id: 'refused',
    title: '4xx',
    value: ({ refused }) => refused,
    tone: ({ refused }) => (refused > 0 ? 'warning' : 'muted'),
    priority: 5,
  }),
  countColumn({
    id: 'broken',
    title: '5xx',
    value: ({ broken }) => broken,
    tone: ({ broken }) => (broken > 0 ? 'error' : 'muted'),
    priority: 5,
  }),
  countColumn({
    id: 'unanswered',
    title: 'no answer',
    value: ({ unanswered }) => unanswered,
    tone: ({ unanswered }) => (unanswered > 0 ? 'error' : 'muted'),
    priority: 8,
  }),
  countColumn({
    id: 'retries',
    title: 'retries',
    value: ({ retries }) => retries,
    tone: ({ retries }) => (retries > 0 ? 'warning' : 'muted'),
    priority: 9,
  }),
  bytesColumn({
    id: 'requestBytes',
    title: 'sent',
    value: ({ requestBytes }) => requestBytes,
    priority: 8,
  }),
  bytesColumn({
    id: 'responseBytes',
    title: 'received',
    value: ({ responseBytes }) => responseBytes,
    priority: 7,
  }),
  trendColumn(6, 'accent'),
];

const endpointsSorts: readonly [Sort<EndpointRow>, ...Sort<EndpointRow>[]] = [
  { id: 'time', title: 'most time', direction: 'desc', value: ({ totalMs }) => totalMs },
  { id: 'failures', title: 'most failures', direction: 'desc', value: ({ failures }) => failures },
  slowedSort,
  { id: 'p95', title: 'slowest p95', direction: 'desc', value: ({ p95Ms }) => p95Ms },
  { id: 'calls', title: 'most calls', direction: 'desc', value: ({ calls }) => calls },
  {
    id: 'bytes',
    title: 'most bytes',
    direction: 'desc',
    value: bytesOf,
  },
  growthSort,
  { id: 'service', title: 'service', direction: 'asc', value: ({ service }) => service },
];

export const endpoints: Pane<EndpointRow, EndpointsExtras, 'endpoints'> = {
  id: 'endpoints',
  title: 'Endpoints',
  question: 'Which services are called, how fast and how well do they answer?',
  needs: {
    endpoint_calls: {
      required: ['service_name', 'started_at'],
      optional: ['endpoint_url', 'http_method', 'duration_ms', 'success', 'status_code'],
    },
  },
  windowed: true,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: endpointsColumns,
  comparison: { names: 3, figures: callFigures, of: comparedCalls },
  sorts: endpointsSorts,
  rowKey: ({ service, method, url }) => groupKey([service, method, url]),
  idOf: ({ service, url }) => url ?? service,
  empty: `No endpoint was called in this window. ${chooseLonger}`,
  hasExamples: true,
  createReader: () => new EndpointsReader(),
  summary: ({ extras }) => summaryOf(extras),
  detail: ({ service, method, url }) =>
    eventsOpening({
      title: `Calls of ${[method, url ?? service].filter(Boolean).join(' ')}`,
      text: callsOfEndpointStatement,
      values: [service, method, url],
      orders: ['failed', 'slowest', 'newest'],
    }),
};
