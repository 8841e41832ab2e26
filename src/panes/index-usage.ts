import { cleanUpCommand } from '../maintenance/reindex/leftovers.js';
import { reindexCommand } from '../maintenance/reindex/rebuild-lock.js';
import {
  ageColumn,
  bytesColumn,
  countColumn,
  textColumn,
  type CellContext,
  type SummaryLine,
  type SummarySegment,
  type Column,
  type Sort,
  type Tone,
} from './contract/column.js';
import { counted, countedShort, formatBytes, formatCount } from '../core/format/number.js';
import { formatAge, formatTimestamp } from '../core/format/time.js';
import { serverNowStatement, type ServerNowRow } from './reading/windows.js';
import { usualLimits, type Pane } from './contract/pane.js';
import { countersSinceText, usualVerdictLimits } from '../maintenance/index-verdict.js';
import {
  IndexUsageReader,
  type IndexUsageExtras,
  type IndexUsageRow,
  indexDetailStatement,
} from './reading/indexes.js';
import type { Opening, RecordRow } from './contract/opening.js';

function summaryOf(extras: IndexUsageExtras, { nowMs }: CellContext): SummaryLine[] {
  return [
    [
      { text: counted(extras.indexes, 'index') },
      { text: formatBytes(extras.bytes) },
      ...(extras.invalid > 0
        ? [{ text: `${extras.invalid} invalid`, tone: 'error' as const }]
        : []),
      ...(extras.tooEarly > 0 && extras.unused === 0
        ? [
            { text: 'unused: too early to say', tone: 'muted' as const },
            {
              text: `${formatAge(usualVerdictLimits.leastAgeMs)} of counting are needed`,
              tone: 'muted' as const,
            },
          ]
        : [unusedSegment(extras)]),
      { text: countersSinceText(extras, nowMs), tone: 'muted' as const },
    ],
  ];
}

function unusedSegment({ unused, unusedBytes }: IndexUsageExtras): SummarySegment {
  if (unused === 0) return { text: 'none unused', tone: 'muted' };
  return { text: `${unused} unused (${formatBytes(unusedBytes)})`, tone: 'warning' };
}

/** An index: how it is, how its lists fit its rows, and which keys fix it. */
export function indexOpening(row: IndexUsageRow): Opening {
  const title = `Index ${row.index}`;
  return {
    title,
    async read({ shape, read }) {
      const rows = await read<RecordRow>(indexDetailStatement(shape), [row.oid]);
      const now = await read<ServerNowRow>(serverNowStatement, []);
      return {
        kind: 'records',
        title,
        rows,
        sections:
          rows.length === 0
            ? []
            : [{ title: 'Verdict', lines: verdictLines(row, now[0]?.now_ms ?? Date.now()) }],
      };
    },
  };
}

/** The verdict, the statement that follows from it, and what it rests on. */
function verdictLines(row: IndexUsageRow, nowMs: number): SummaryLine[] {
  const { advice, state, lists, recommendedLists, verdict, verdictText, drop } = row;
  const isBad = state === 'invalid' || state === 'leftover';
  const name = (text: string) => ({ text, columns: 12, tone: 'muted' as const });
  const isSaid = advice === null || advice === verdictText || verdict === 'early';
  const ageMs = nowMs - row.countedSince.getTime();
  return [
    [
      { text: verdictText, tone: isBad ? 'error' : drop === null ? 'success' : 'warning' },
      ...(isSaid ? [] : [{ text: advice, tone: 'warning' as const }]),
    ],
    ...(drop === null ? [] : [[{ text: drop, tone: 'accent' as const }]]),
    [name('serves'), { text: row.serves ?? 'it has no comment' }],
    [name('used'), { text: usedText(row, nowMs) }],
    [
      name('counted'),
      { text: `for ${formatAge(ageMs)}, since ${formatTimestamp(row.countedSince)}` },
    ],
    [name('costs'), { text: costText(row, ageMs) }],
    ...(lists === null
      ? []
      : [[name('lists'), { text: `${lists}; its rows ask for ${recommendedLists ?? 'unknown'}` }]]),
    [
      {
        text: `Esc, then :${reindexCommand.id} rebuilds it, :${cleanUpCommand.id} drops what broken rebuilds left`,
        tone: 'muted',
      },
    ],
  ];
}

function usedText({ scans, lastScan }: IndexUsageRow, nowMs: number): string {
  if (scans === 0) return 'never in this time';
  const last = lastScan === null ? '' : `, last ${formatAge(nowMs - lastScan.getTime())} ago`;
  return `${countedShort(scans, 'scan')}${last}`;
}

function costText({ bytes, writes }: IndexUsageRow, ageMs: number): string {
  const size = bytes === null ? 'an unknown size' : formatBytes(bytes);
  if (writes === null) return size;
  const perDay = ageMs < hourMs ? '' : ` (${formatCount((writes * 24 * hourMs) / ageMs)} a day)`;
  return `${size}; up to ${countedShort(writes, 'entry')} written in this time${perDay}`;
}

const hourMs = 3_600_000;

function stateTone({ state }: IndexUsageRow): Tone | undefined {
  if (state === 'valid') return 'muted';
  return state === 'building' ? 'running' : 'error';
}

function adviceTone({ state, advice, verdict }: IndexUsageRow): Tone {
  if (state === 'invalid' || state === 'leftover') return 'error';
  return advice === null || verdict === 'early' ? 'muted' : 'warning';
}

export const indexUsageColumns: readonly Column<IndexUsageRow>[] = [
  textColumn({
    id: 'index',
    title: 'index',
    value: ({ index }) => index,
    priority: 1,
    minWidth: 16,
  }),
  textColumn({
    id: 'table',
    title: 'table',
    value: ({ table }) => table,
    tone: () => 'muted',
    priority: 6,
    minWidth: 12,
    maxWidth: 26,
  }),
  textColumn({
    id: 'method',
    title: 'method',
    value: ({ method }) => method,
    tone: () => 'muted',
    priority: 7,
    minWidth: 7,
    maxWidth: 7,
  }),
  countColumn({
    id: 'scans',
    title: 'scans',
    value: ({ scans }) => scans,
    tone: ({ scans }) => (scans === 0 ? 'muted' : undefined),
    priority: 1,
  }),
  bytesColumn({
    id: 'bytes',
    title: 'size',
    value: ({ bytes }) => bytes,
    priority: 2,
  }),
  ageColumn({
    id: 'lastScan',
    title: 'used',
    value: ({ lastScan }) => lastScan,
    priority: 3,
  }),
  countColumn({
    id: 'writes',
    title: 'writes',
    value: ({ writes }) => writes,
    tone: () => 'muted',
    priority: 8,
  }),
  textColumn({
    id: 'state',
    title: 'state',
    value: ({ state }) => state,
    tone: stateTone,
    priority: 5,
    minWidth: 8,
    maxWidth: 8,
  }),
  textColumn({
    id: 'advice',
    title: 'note',
    value: ({ advice }) => advice,
    tone: adviceTone,
    priority: 4,
    minWidth: 10,
    maxWidth: 40,
    prefersWhole: true,
  }),
  textColumn({
    id: 'serves',
    title: 'serves',
    value: ({ serves }) => serves,
    tone: () => 'muted',
    priority: 9,
    minWidth: 24,
  }),
];

/** Indexes that need attention come first, then the largest. */
function urgency({ state, advice, verdict, drop }: IndexUsageRow): number {
  if (state === 'invalid' || state === 'leftover') return 5;
  if (state === 'building') return 4;
  if (drop !== null) return 3;
  if (advice === null) return 0;
  return verdict === 'early' ? 1 : 2;
}

export const indexUsageSorts: readonly [Sort<IndexUsageRow>, ...Sort<IndexUsageRow>[]] = [
  { id: 'size', title: 'largest', direction: 'desc', value: ({ bytes }) => bytes },
  { id: 'care', title: 'needs care', direction: 'desc', value: urgency },
  { id: 'scans', title: 'least used', direction: 'asc', value: ({ scans }) => scans },
  { id: 'used', title: 'used last', direction: 'desc', value: ({ lastScan }) => lastScan },
  { id: 'index', title: 'index', direction: 'asc', value: ({ index }) => index },
];

export const indexUsage: Pane<IndexUsageRow, IndexUsageExtras, 'index-usage'> = {
  id: 'index-usage',
  title: 'Index usage',
  question: 'Which indexes are used, how large are they, and which need care?',
  rowsAre: 'index',
  needs: {},
  isInOverview: true,
  firstReadingMs: 20,
  windowed: false,
  minIntervalMs: 5_000,
  limits: usualLimits,
  columns: indexUsageColumns,
  sorts: indexUsageSorts,
  rowKey: ({ table, index }) => `${table}.${index}`,
  empty: 'The schema has no indexes yet. Create it: trace-console schema apply',
  createReader: () => new IndexUsageReader(),
  summary: ({ extras }, context) => summaryOf(extras, context),
  detail: indexOpening,
};
