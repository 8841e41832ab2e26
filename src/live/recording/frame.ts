import { ExactNumber, exactNumber } from '../../core/exact-json.js';
import * as v from 'valibot';
import { readNumber } from '../../core/values.js';
import { ConsoleError, type ErrorCode } from '../../db/errors.js';
import { cellOf } from '../../panes/contract/column.js';
import { findPane, findPaneOfEarlier, panes, type PaneId } from '../../panes/registry.js';
import { emptySnapshot } from '../pane-feed.js';
import type { LiveState, PaneSnapshot } from '../state.js';

/** Rows of one reading by those of the one before: `[from, count]` repeats a run of them, an object is a new row. */
type RowDelta = readonly ([from: number, count: number] | object)[];

/** JSON of rows that were written before; most rows of a reading are those of the last one. */
const written = new WeakMap<object, string>();

function jsonOf(row: object): string {
  let json = written.get(row);
  if (json === undefined) {
    json = JSON.stringify(encodeValue(row));
    written.set(row, json);
  }
  return json;
}

/**
 * What has to be written of `rows` when `before` is known: of a tail of 1,000 events the few new ones, of
 * a table those rows whose figures have changed.
 */
export function rowDelta(before: readonly object[], rows: readonly object[]): RowDelta {
  const places = new Map<string, number>();
  for (const [index, row] of before.entries()) places.set(jsonOf(row), index);
  const delta: ([number, number] | object)[] = [];
  for (const row of rows) {
    const json = jsonOf(row);
    const from = places.get(json);
    if (from === undefined) {
      delta.push(JSON.parse(json) as object);
      continue;
    }
    const last = delta.at(-1);
    if (Array.isArray(last) && (last[0] as number) + (last[1] as number) === from) {
      (last as [number, number])[1] += 1;
    } else {
      delta.push([from, 1]);
    }
  }
  return delta;
}

/**
 * The rows again; those that are repeated are the same objects.
 *
 * @throws RangeError when the delta is not one of `before`
 */
export function applyRowDelta(before: readonly object[], delta: RowDelta): object[] {
  return delta.flatMap((piece) => {
    if (!Array.isArray(piece)) return [decodeValue(piece) as object];
    const [from, count] = piece as [number, number];
    if (!(from >= 0 && count > 0 && from + count <= before.length)) {
      throw new RangeError(`rows ${from} to ${from + count} of ${before.length}`);
    }
    return before.slice(from, from + count);
  });
}

/**
 * Values of the state as JSON: dates, errors, maps, sets and the numbers JSON does not know are objects
 * with a `$`, which no row has as a column; one that had is wrapped itself.
 */
export function encodeValue(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    return Number.isFinite(value) ? value : { $: 'number', v: String(value) };
  }
  if (typeof value === 'bigint') return { $: 'bigint', v: String(value) };
  if (Array.isArray(value)) return value.map(encodeValue);
  if (value instanceof ExactNumber) return { $: 'exact', v: value.text };
  if (value instanceof Date) return { $: 'date', v: value.getTime() };
  if (value instanceof Map) return { $: 'map', v: [...value].map(encodeValue) };
  if (value instanceof Set) return { $: 'set', v: [...value].map(encodeValue) };
  if (value instanceof ConsoleError) {
    const { code, message, hint, sqlState } = value;
    return { $: 'error', v: { code, message, hint, sqlState } };
  }
  if (typeof value !== 'object') return undefined;
  const entries = Object.entries(value).map(([key, each]) => [key, encodeValue(each)] as const);
  const plain = Object.fromEntries(entries.filter(([, each]) => each !== undefined));
  return '$' in plain ? { $: 'object', v: plain } : plain;
}

/** What {@link encodeValue} made, as it was. */
export function decodeValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decodeValue);
  if (typeof value !== 'object' || value === null) return value;
  return '$' in value ? decodeTagged(value) : decodeEntries(value);
}

const decimal = /^-?\d+(?:\.\d+)?(?:e[-+]?\d+)?$/i;

type Tagged = { $: unknown; v?: unknown };

function decodeTagged({ $: kind, v: content }: Tagged): unknown {
  switch (kind) {
    case 'number':
      return readNumber(String(content));
    case 'exact':
      return exactNumber(decimal.test(String(content)) ? String(content) : 'NaN');
    case 'bigint':
      return BigInt(String(content));
    case 'date':
      return new Date(readNumber(String(content)));
    case 'map':
      return new Map(decodeValue(content) as [unknown, unknown][]);
    case 'set':
      return new Set(decodeValue(content) as unknown[]);
    case 'error':
      return decodeError(content as Partial<Record<string, string>>);
    case 'object':
      return decodeEntries(content as object);
    default:
      throw new TypeError(`a value of an unknown kind: ${String(kind)}`);
  }
}

function decodeEntries(content: object): object {
  return Object.fromEntries(Object.entries(content).map(([key, each]) => [key, decodeValue(each)]));
}

function decodeError({ code, message, hint, sqlState }: Partial<Record<string, string>>) {
  return new ConsoleError((code ?? 'internal') as ErrorCode, message ?? '', {
    ...(hint === undefined ? {} : { hint }),
    ...(sqlState === undefined ? {} : { sqlState }),
  });
}

/**
 * The versions of the format. In version 1 a pane has the id that it had then; since version 2 an id means what it
 * means today.
 */
export type FormatVersion = 1 | 2;

type PaneFrame = { rows?: RowDelta | undefined; rest: unknown };

/** One line of a recording: what of the state has changed at a moment. */
export type Frame = {
  /** Milliseconds by the console's clock. */
  at: number;
  /** By the calendar, milliseconds since 1970. */
  wall: number;
  /** It holds everything, and can be shown without those before it. */
  full: boolean;
  /** Pane id to what changed in it. */
  panes: Readonly<Record<string, PaneFrame>>;
  /** The rest of the state; absent where nothing of it has changed. */
  rest?: unknown;
};

const finite = v.pipe(v.number(), v.finite());
const position = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const when = v.nullable(v.pipe(v.date()));

const frameSchema = v.object({
  at: finite,
  wall: finite,
  full: v.boolean(),
  panes: v.record(
    v.string(),
    v.object({
      rows: v.optional(v.array(v.union([v.tuple([position, position]), v.looseObject({})]))),
      rest: v.unknown(),
    }),
  ),
  rest: v.optional(v.unknown()),
});

/** {@link PaneSnapshot} without its rows, as decoded. */
const snapshotSchema = v.looseObject({
  extras: v.optional(v.looseObject({})),
  asOf: when,
  receivedAtMs: v.nullable(finite),
  costMs: v.nullable(v.number()),
  intervalMs: v.number(),
  error: v.nullable(v.instance(ConsoleError)),
  stale: v.boolean(),
  notes: v.array(v.string()),
  loading: v.nullable(v.object({ share: v.number() })),
  untilMs: v.optional(finite),
  exact: v.boolean(),
});

const longest = v.nullable(v.object({ pid: v.number(), ms: v.number() }));

/** {@link LiveState} without its panes, as decoded. */
const restSchema = v.looseObject({
  vitals: v.nullable(
    v.looseObject({
      transactionsPerSecond: v.nullable(v.number()),
      connections: v.number(),
      maxConnections: v.number(),
      waiting: v.number(),
      cacheHit: v.nullable(v.number()),
      longestTransaction: longest,
      clockOffsetMs: v.number(),
    }),
  ),
  collecting: v.optional(
    v.nullable(
      v.object({
        state: v.optional(v.picklist(['following', 'waiting', 'ended'])),
        reason: v.optional(v.string()),
        eventAgeMs: v.nullable(finite),
        waitingBytes: finite,
        quarantined: finite,
        grown: v.optional(v.object({ files: finite, importAgeMs: finite })),
      }),
    ),
  ),
  holdsDemo: v.optional(v.boolean()),
  connection: v.variant('state', [
    v.object({ state: v.literal('connecting') }),
    v.object({ state: v.literal('connected') }),
    v.object({
      state: v.literal('reconnecting'),
      sinceMs: finite,
      attempts: v.number(),
      nextAttemptMs: v.optional(finite),
      error: v.instance(ConsoleError),
    }),
  ]),
  capabilities: v.looseObject({
    serverVersion: v.number(),
    serverVersionText: v.string(),
    database: v.string(),
    user: v.string(),
    schema: v.string(),
    embedded: v.boolean(),
    standby: v.boolean(),
  }),
  paused: v.boolean(),
  cadenceMs: finite,
  windowMs: finite,
  untilMs: v.optional(finite),
});

/** A line's JSON as a frame; undefined when it is none. */
export function frameOf(value: unknown): Frame | undefined {
  const parsed = v.safeParse(frameSchema, value);
  return parsed.success ? parsed.output : undefined;
}

/** The frame from one state to the next; undefined where nothing has changed. */
export function frameBetween(
  before: LiveState | undefined,
  state: LiveState,
  moment: { at: number; wall: number },
): Frame | undefined {
  const changed = Object.fromEntries(
    Object.values(state.panes).flatMap((snapshot) => {
      const last = before?.panes[snapshot.id];
      return last === snapshot ? [] : [[snapshot.id, paneFrame(last, snapshot)]];
    }),
  );
  const rest = withoutPanes(state);
  const isSame =
    before !== undefined &&
    (Object.keys(rest) as (keyof typeof rest)[]).every((key) => before[key] === rest[key]);
  if (isSame && Object.keys(changed).length === 0) return undefined;
  return {
    ...moment,
    full: before === undefined,
    panes: changed,
    ...(isSame ? {} : { rest: encodeValue(rest) }),
  };
}

function withoutPanes(state: LiveState): Omit<LiveState, 'panes'> {
  const rest: Partial<LiveState> = { ...state };
  delete rest.panes;
  return rest as Omit<LiveState, 'panes'>;
}

function paneFrame(last: PaneSnapshot | undefined, snapshot: PaneSnapshot): PaneFrame {
  const { rows, ...rest } = snapshot;
  return {
    ...(last?.rows === rows ? {} : { rows: rowDelta(last?.rows ?? [], rows) }),
    rest: encodeValue(rest),
  };
}

const notRecorded = new ConsoleError('not_found', 'Not recorded.', {
  hint: 'The console that made the recording did not have this pane.',
});

const nothingRecorded = Object.fromEntries(
  panes.map((pane) => [pane.id, { ...emptySnapshot(pane), error: notRecorded }]),
) as LiveState['panes'];

/**
 * The state after a frame. Panes that the recording does not know are not recorded; panes that this console does not
 * know are left out.
 *
 * @throws Error when the frame does not fit the format, or the state before it
 */
export function applyFrame(
  before: LiveState | undefined,
  frame: Frame,
  version: FormatVersion,
): LiveState {
  const start = frame.full ? undefined : before;
  const shown: Record<PaneId, PaneSnapshot> = { ...(start?.panes ?? nothingRecorded) };
  for (const [recorded, { rows, rest }] of Object.entries(frame.panes)) {
    const pane = version === 1 ? findPaneOfEarlier(recorded) : findPane(recorded);
    if (!pane) continue;
    const known = shown[pane.id].rows;
    const snapshot = {
      ...(v.parse(snapshotSchema, decodeValue(rest)) as unknown as PaneSnapshot),
      id: pane.id,
      rows: rows === undefined ? known : applyRowDelta(known, rows),
    };
    const misfit = whyNotShown(pane.id, snapshot);
    shown[pane.id] = misfit
      ? { ...snapshot, rows: [], extras: undefined, asOf: null, error: misfit }
      : snapshot;
  }
  const rest =
    frame.rest === undefined
      ? start
      : (v.parse(restSchema, decodeValue(frame.rest)) as unknown as LiveState);
  if (!rest) throw new TypeError('the first frame is not whole');
  return { ...rest, panes: shown };
}

/** Rows that were checked already: most rows of a frame are those of the frame before. */
const fitting = new WeakSet<object>();

/** Draws rows once, without showing them, because another version of the pane may have recorded them without a field that is drawn today. */
function whyNotShown(id: PaneId, snapshot: PaneSnapshot): ConsoleError | undefined {
  const pane = panes.find((candidate) => candidate.id === id);
  const { rows, extras, asOf, notes } = snapshot;
  if (!pane) return undefined;
  const context = { nowMs: asOf?.getTime() ?? 0 };
  try {
    for (const row of rows) {
      if (fitting.has(row)) continue;
      pane.rowKey(row);
      for (const column of pane.columns) cellOf(column, row, context);
      for (const each of [...(pane.fields ?? []), ...pane.sorts]) each.value(row);
      fitting.add(row);
    }
    if (asOf && extras) {
      pane.summary?.({ rows, extras, asOf, notes }, context);
      pane.chart?.({ rows, extras, asOf, notes });
    }
    return undefined;
  } catch (cause) {
    const message = 'Recorded by another version, in a form that cannot be shown.';
    return new ConsoleError('not_found', message, { cause });
  }
}
