import { randomBytes, randomUUID } from 'node:crypto';
import { byOwnKey } from '../../core/values.js';
import { derivedId } from '../ids.js';
import { isUuid } from './values.js';
import type { Carrier } from './types.js';

/**
 * Ids of a trace in W3C's `traceparent` and in the family of `X-Correlation-ID`. The trace id is the root's correlation id;
 * every other trace's correlation id is made of trace id and span id, so that `traceparent` alone says which row is meant.
 */
export type TraceIds = {
  /** 32 and 16 hexadecimal digits. */
  traceId: string;
  spanId: string;
  correlationId: string;
  rootId: string;
  parentId: string | null;
  /** `01`: recorded by the caller, too. */
  flags: string;
  /** Other systems' entries of `tracestate`. */
  state: string;
  session?: string | undefined;
};

/** The entry of `tracestate`: which span of its trace was the last one that is a row here. */
const stateKey = 'trace-console';

const dashed = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;

const undashed = (uuid: string): string => uuid.replaceAll('-', '').toLowerCase();

/** The span of a root has the last digits of the trace's id. */
const rootSpan = (traceId: string): string => traceId.slice(16);

function correlationOf(traceId: string, spanId: string): string {
  return spanId === rootSpan(traceId) ? dashed(traceId) : derivedId('span', traceId, spanId);
}

export function newRoot(): TraceIds {
  const correlationId = randomUUID();
  const traceId = undashed(correlationId);
  return {
    traceId,
    spanId: rootSpan(traceId),
    correlationId,
    rootId: correlationId,
    parentId: null,
    flags: '01',
    state: '',
  };
}

export function childOf(parent: TraceIds): TraceIds {
  const spanId = randomBytes(8).toString('hex');
  return {
    ...parent,
    spanId,
    correlationId: derivedId('span', parent.traceId, spanId),
    parentId: parent.correlationId,
  };
}

/** Of version 00 nothing comes behind the flags, of a later one it may; there is no version ff. */
const traceparent =
  /^(?:00(?=.{53}$)|(?!00|ff)[\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?:-.*)?$/;

/** The ids of a trace that continues what a request or an environment names; undefined: it names nothing. */
export function continued(carrier: Carrier): TraceIds | undefined {
  const parent = traceparent.exec(read(carrier, 'traceparent')?.trim().toLowerCase() ?? '');
  const [, traceId = '', spanId = '', flags = '01'] = parent ?? [];
  const isValid = parent !== null && !/^0+$/.test(traceId) && !/^0+$/.test(spanId);
  const family = familyOf(carrier);
  if (!isValid && family === undefined) return undefined;
  const trace = isValid ? traceId : undashed(family?.rootId ?? '');
  const span = randomBytes(8).toString('hex');
  const { ours, others } = stateOf(read(carrier, 'tracestate') ?? '');
  return {
    traceId: trace,
    spanId: span,
    correlationId: derivedId('span', trace, span),
    rootId: family?.rootId ?? dashed(trace),
    // A span of another system is no row here.
    parentId: family?.parentId ?? (ours === undefined ? null : correlationOf(trace, ours)),
    flags,
    state: isValid ? others : '',
    session: family?.session ?? read(carrier, 'x-session-id'),
  };
}

type Family = { rootId: string; parentId: string | null; session: string | undefined };

/**
 * `X-Correlation-ID` with `X-Root-ID` is a trace of this schema; by itself it may be an id that a gateway gives to all that
 * belongs together.
 */
function familyOf(carrier: Carrier): Family | undefined {
  const correlation = read(carrier, 'x-correlation-id');
  if (correlation === undefined || correlation === '') return undefined;
  const uuid = (id: string) => (isUuid(id) ? id.toLowerCase() : derivedId('correlation', id));
  const root = read(carrier, 'x-root-id');
  const session = read(carrier, 'x-session-id');
  return root === undefined || root === ''
    ? { rootId: uuid(correlation), parentId: null, session }
    : { rootId: uuid(root), parentId: uuid(correlation), session };
}

export function headersOf(ids: TraceIds, sessionId: string): Record<string, string> {
  return {
    traceparent: `00-${ids.traceId}-${ids.spanId}-${ids.flags}`,
    tracestate: [`${stateKey}=${ids.spanId}`, ids.state].filter((part) => part !== '').join(','),
    'x-correlation-id': ids.correlationId,
    'x-root-id': ids.rootId,
    ...(ids.parentId === null ? {} : { 'x-parent-id': ids.parentId }),
    'x-session-id': sessionId,
  };
}

/** W3C allows 32 entries and asks for 512 characters to be passed on. */
const longestState = 512;
const mostEntries = 31;

function stateOf(header: string): { ours: string | undefined; others: string } {
  const entries = header.split(',').map((entry) => entry.trim());
  const ours = entries.find((entry) => entry.startsWith(`${stateKey}=`));
  const id = ours?.slice(stateKey.length + 1);
  const others = entries.filter((entry) => entry !== ours && entry !== '').slice(0, mostEntries);
  while (others.join(',').length > longestState) others.pop();
  return {
    ours: id !== undefined && /^[\da-f]{16}$/.test(id) ? id : undefined,
    others: others.join(','),
  };
}

/** Longer ones are no ids. */
const longestHeader = 1_024;

function read(carrier: Carrier, name: string): string | undefined {
  const value: unknown =
    typeof carrier.get === 'function' ? (carrier as Headers).get(name) : ownValue(carrier, name);
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' ? first.slice(0, longestHeader) : undefined;
}

/** Names of headers have any case; an environment has `TRACEPARENT`, and underscores. */
function ownValue(carrier: Readonly<Record<string, unknown>>, name: string): unknown {
  for (const key of [name, name.toUpperCase().replaceAll('-', '_')]) {
    const value = byOwnKey(carrier, key);
    if (value !== undefined) return value;
  }
  return Object.entries(carrier).find(([key]) => key.toLowerCase() === name)?.[1];
}
