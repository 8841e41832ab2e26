import { formatSpan } from '../shared/format/duration.js';
import { formatBytes } from '../shared/format/bytes.js';
import { formatCount, formatShare } from '../shared/format/number.js';
import { CallsReader, type CallGroup } from './calls-reader.js';
import { groupKey } from './call-totals.js';
import { beforeOf, beforeSegment, type ComparedRow } from './change.js';
import { trendParts } from './column-kinds.js';
import { endpointsColumns, endpointsSorts } from './endpoints-columns.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type SummaryLine,
} from './pane.js';
import { endpointSource } from './statements/call-sources.js';
import { callsOfEndpointStatement, type EndpointCallRow } from './statements/newest-calls.js';
import { eventsOpening, joined } from './trace/events-opening.js';
import { callsIn, WindowBefore } from './window-before.js';

/** Calls of one endpoint of a service, over the window. */
export type EndpointRow = ComparedRow & {
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
  requestBytes: number;
  responseBytes: number;
  lastCall: Date;
  /** Calls by twelfth of the window, oldest first. */
  trend: readonly number[];
};

export type EndpointsExtras = {
  windowMs: number;
  calls: number;
  /** Of the window before; null where that is not counted (windows over a day). */
  callsBefore: number | null;
  failures: number;
  bytes: number;
  percentileError: number;
};

class EndpointsReader implements PaneReader<EndpointRow, EndpointsExtras> {
  readonly #calls = new CallsReader({ source: endpointSource, trendParts });
  readonly #before = new WindowBefore({ source: endpointSource });

  async read(request: ReadRequest): Promise<PaneResult<EndpointRow, EndpointsExtras>> {
    return request.transaction(async (tx) => {
      const found = await this.#calls.read(tx, request);
      const { groups, endMs, percentileError } = found;
      const { before, share } = await this.#before.read(tx, request, found);
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
          bytes: sum(({ requestBytes, responseBytes }) => requestBytes + responseBytes),
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
}: CallGroup): Omit<EndpointRow, 'callsBefore' | 'p95BeforeMs'> {
  const [service, method, url] = groups;
  const [answered, refused, broken, unanswered, retries, requestBytes, responseBytes] = sums;
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
    requestBytes: requestBytes ?? 0,
    responseBytes: responseBytes ?? 0,
    lastCall: new Date(lastMs),
  };
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
      { text: `${formatCount(calls)} calls in ${formatSpan(windowMs)}` },
      failures > 0
        ? { text: `${formatShare(failures / calls)} failed`, tone: 'error' }
        : { text: 'none failed', tone: 'success' },
      { text: `${formatBytes(bytes)} sent and received`, tone: 'muted' },
      ...beforeSegment(calls, callsBefore, windowMs),
    ],
  ];
}

export const endpoints: Pane<EndpointRow, EndpointsExtras> = {
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
  sorts: endpointsSorts,
  rowKey: ({ service, method, url }) => groupKey([service, method, url]),
  idOf: ({ service, url }) => url ?? service,
  empty:
    'No endpoint was called in this window. Choose a longer one with :window, or: trace-console demo',
  createReader: () => new EndpointsReader(),
  summary: ({ extras }) => summaryOf(extras),
  detail: ({ service, method, url }) =>
    eventsOpening<EndpointCallRow>({
      title: `Calls of ${joined([method, url ?? service])}: failed ones first, then the slowest`,
      text: callsOfEndpointStatement,
      values: [service, method, url],
      eventOf: (row) => ({
        kind: 'endpoint_call',
        id: row.id,
        traceId: row.trace_id,
        startedAt: row.started_at,
        durationMs: row.duration_ms,
        failed: row.success === false,
        what: joined([
          row.http_method,
          row.status_code,
          row.retry_count ? `${row.retry_count} retries` : null,
        ]),
        text: joined([row.error_type, row.error_message ?? row.endpoint_url], ': '),
      }),
    }),
};
