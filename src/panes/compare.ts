import { CallTotals } from './reading/calls-reader.js';
import { ConsoleError } from '../db/errors.js';
import { formatSpan, formatMoment } from '../core/format/time.js';
import { agents, agentSource } from './agents.js';
import { memoryList } from './contract/listing.js';
import type { DetailAccess, Opening } from './contract/opening.js';
import { rowOpening, namedCommands } from './contract/pane.js';
import type { SchemaShape } from './contract/shape.js';
import { endpoints, endpointSource } from './endpoints.js';
import { errors } from './errors.js';
import { models, modelSource } from './models.js';
import {
  bucketBoundsText,
  callHistogramStatement,
  type CallHistogramRow,
  type CallSource,
} from './reading/calls.js';
import {
  callsChange,
  changeColumns,
  changeOfRow,
  costChange,
  failingChange,
  leastCalls,
  slowerChange,
  type ChangeRow,
  type Traffic,
  type Verdict,
} from './reading/changes.js';
import { failureSource } from './reading/failures.js';
import { patternOpening } from './reading/pattern.js';
import { namedPatternUses } from './reading/patterns.js';
import { statusSource } from './reading/trace-counts.js';
import { usageSource, usageSums } from './reading/usage.js';
import { serverNowStatement, type ServerNowRow } from './reading/windows.js';
import { recentTraces } from './recent-traces.js';
import { hookSource, slowHooks } from './slow-hooks.js';
import { topPatterns } from './top-patterns.js';
import { usage } from './usage.js';
import { isFailure } from './trace/event.js';

type Groups = readonly (string | null)[];

/** What is compared: the rows of a pane, counted in one statement a window. */
type Part = {
  pane: string;
  source(shape: SchemaShape): CallSource;
  name(groups: Groups): string;
  open(groups: Groups): Opening | undefined;
  /** That there are more of them is worse, or better. */
  more?(groups: Groups): 'worse' | 'better' | undefined;
  /** Which of the source's sums are the cost, and the traces that it is of. */
  cost?: { cost: number; traces: number };
};

const joined = (groups: Groups) => groups.filter((each) => each !== null).join(' ');

/** Recent traces stand before errors: their number is the traffic. */
const parts: readonly Part[] = [
  {
    pane: agents.title,
    source: agentSource,
    name: joined,
    open: ([agent]) => rowOpening(agents, { agent }),
  },
  {
    pane: slowHooks.title,
    source: (shape) => hookSource(shape, undefined),
    name: joined,
    open: ([hook, tool]) => rowOpening(slowHooks, { hook, tool }),
  },
  {
    pane: endpoints.title,
    source: endpointSource,
    name: joined,
    open: ([service, method, url]) => rowOpening(endpoints, { service, method, url }),
  },
  {
    pane: recentTraces.title,
    source: statusSource,
    name: joined,
    open: ([status]) => rowOpening(recentTraces, { status }),
    more: ([status = null]) => (status !== null && isFailure(status) ? 'worse' : undefined),
  },
  {
    pane: errors.title,
    source: failureSource,
    name: joined,
    open: ([type]) => rowOpening(errors, { type }),
    more: () => 'worse',
  },
  {
    pane: models.title,
    source: modelSource,
    name: joined,
    open: ([model]) => rowOpening(models, { model }),
  },
  {
    pane: topPatterns.title,
    source: namedPatternUses,
    name: ([id = null, name = null]) => name ?? id ?? '',
    open: ([id, name]) => (id ? patternOpening(`Pattern ${name ?? id}`, id) : undefined),
  },
  {
    pane: usage.title,
    source: (shape) => usageSource(shape, 'project'),
    name: ([project]) => project ?? 'no project',
    open: ([group]) => rowOpening(usage, { group, grouping: 'project' }),
    cost: { cost: usageSums.cost, traces: usageSums.pricedTraces },
  },
];

type Ranked = ChangeRow & { weight: number; opening: Opening | undefined };

export type ComparedMoment = {
  rows: readonly Ranked[];
  /** Seconds since 1970, milliseconds: the windows are before..moment and moment..end. */
  spanMs: number;
  momentMs: number;
  endMs: number;
  isUntilNow: boolean;
  /** What could not be compared, and why. */
  notes: readonly string[];
};

const keptMs = 10_000;

/**
 * Compares the window before a moment with the one after it, which ends now at the latest, in all panes of calls. Reads
 * each window once a pane: as much as a first reading of these panes.
 *
 * @throws ConsoleError `usage` for a moment that is not past
 */
export async function compareMoment(
  { read, shape, windowMs }: Pick<DetailAccess, 'read' | 'shape' | 'windowMs'>,
  momentMs: number,
): Promise<ComparedMoment> {
  const nowMs = (await read<ServerNowRow>(serverNowStatement, []))[0]?.now_ms ?? Date.now();
  const endMs = Math.min(nowMs, momentMs + windowMs);
  const spanMs = endMs - momentMs;
  if (spanMs <= 0) throw new ConsoleError('usage', 'The moment to compare at must be in the past.');
  const rows: Ranked[] = [];
  const notes: string[] = [];
  let traffic: Traffic | undefined;
  for (const part of parts) {
    try {
      const source = part.source(shape);
      const before = await totalsOf(read, source, momentMs - spanMs, momentMs);
      const after = await totalsOf(read, source, momentMs, endMs);
      if (part.pane === recentTraces.title) traffic = trafficOf(before, after);
      rows.push(...changesOf(part, before, after, traffic));
    } catch (error) {
      const reason = error instanceof ConsoleError ? error.message : String(error);
      notes.push(`${part.pane} is not compared: ${reason}`);
    }
  }
  const ranks: readonly Verdict[] = ['worse', 'better', 'changed', 'too few'];
  rows.sort((a, b) => ranks.indexOf(a.verdict) - ranks.indexOf(b.verdict) || b.weight - a.weight);
  return { rows, spanMs, momentMs, endMs, isUntilNow: endMs === nowMs, notes };
}

/** All of a window falls into one slice. */
const oneSliceSeconds = 1e12;

async function totalsOf(
  read: DetailAccess['read'],
  source: CallSource,
  fromMs: number,
  untilMs: number,
): Promise<CallTotals> {
  const rows = await read<CallHistogramRow>(callHistogramStatement(source, 1), [
    oneSliceSeconds,
    fromMs / 1000,
    untilMs / 1000,
    ...(source.duration === undefined ? [] : [bucketBoundsText]),
  ]);
  const totals = new CallTotals();
  for (const slice of totals.slicesOf(rows).values()) totals.apply(slice, 1);
  return totals;
}

/** All traces; undefined where there are too few on a side to say what follows from their number. */
function trafficOf(...windows: [before: CallTotals, after: CallTotals]): Traffic | undefined {
  const [before = 0, after = 0] = windows.map(({ byKey }) =>
    [...byKey.values()].reduce((sum, { calls }) => sum + calls, 0),
  );
  return Math.min(before, after) < leastCalls ? undefined : { before, after };
}

function changesOf(
  part: Part,
  before: CallTotals,
  after: CallTotals,
  traffic: Traffic | undefined,
): Ranked[] {
  const keys = new Set([...before.byKey.keys(), ...after.byKey.keys()]);
  return [...keys].flatMap((key) => {
    const [was, is] = [before.byKey.get(key), after.byKey.get(key)];
    const groups = (is ?? was)?.groups ?? [];
    const common = {
      pane: part.pane,
      row: part.name(groups),
      opening: part.open(groups),
    };
    const more = part.more?.(groups);
    const found =
      part.cost === undefined
        ? [failingChange(was, is), slowerChange(was, is), callsChange(was, is, more, traffic)]
        : [costChange(was, is, part.cost)];
    return found.flatMap((change) => {
      if (!change) return [];
      const { calls, ...rest } = change;
      const isOfTraces = traffic !== undefined && more !== undefined && rest.figure === 'calls';
      const traces = isOfTraces ? { tracesBefore: traffic.before, tracesAfter: traffic.after } : {};
      return [
        {
          ...common,
          ...rest,
          callsBefore: calls.before,
          callsAfter: calls.after,
          ...traces,
        },
      ];
    });
  });
}

/** The windows in words. */
export function comparedText({ spanMs, momentMs, isUntilNow }: ComparedMoment): string {
  const span = formatSpan(Math.round(spanMs / 1000) * 1000);
  return `${span} before ${formatMoment(new Date(momentMs))} and ${span} after${isUntilNow ? ', until now' : ''}`;
}

/** What got worse and better at a moment across the panes; Enter on a row opens what is behind it after the moment. */
export function compareOpening(momentMs: number): Opening {
  const title = `Compared at ${formatMoment(new Date(momentMs))}`;
  // A filter that is typed asks again with each letter.
  let kept: { atMs: number; windowMs: number; found: ComparedMoment } | undefined;
  return {
    title,
    async read(access) {
      const isFresh = kept?.windowMs === access.windowMs && performance.now() - kept.atMs < keptMs;
      const found = kept && isFresh ? kept.found : await compareMoment(access, momentMs);
      if (found !== kept?.found) {
        kept = { atMs: performance.now(), windowMs: access.windowMs, found };
      }
      const { rows, spanMs, endMs, isUntilNow, notes } = found;
      const count = (verdict: Verdict) => rows.filter((row) => row.verdict === verdict).length;
      return memoryList<Ranked>(
        {
          title,
          columns: changeColumns,
          rows,
          rowKey: ({ pane, row, figure }) => `${pane} ${row} ${figure}`,
          summary: [
            { text: `${count('worse')} worse`, tone: count('worse') > 0 ? 'error' : 'success' },
            { text: `${count('better')} better`, tone: 'success' },
            ...(['changed', 'too few'] as const).flatMap((verdict) =>
              count(verdict) > 0
                ? [
                    {
                      text: `${count(verdict)} ${verdict}${verdict === 'too few' ? ' to say' : ''}`,
                    },
                  ]
                : [],
            ),
            { text: comparedText(found) },
            ...notes.map((text) => ({ text, tone: 'warning' as const })),
          ],
          empty: `Nothing changed by more than chance. Choose another window with :${namedCommands.window}.`,
          order: 'worst',
          asOf: new Date(endMs),
          open: ({ opening }) =>
            opening && {
              title: opening.title,
              read: (to) =>
                opening.read({
                  ...to,
                  windowMs: Math.round(spanMs / 1000) * 1000,
                  untilMs: isUntilNow ? undefined : endMs,
                }),
            },
          copy: ({ row }) => row,
          exported: changeOfRow,
        },
        access.list,
      );
    },
  };
}
