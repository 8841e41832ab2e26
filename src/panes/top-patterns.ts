import { formatCount, formatShare } from '../core/format/number.js';
import { latelyRate } from '../core/share.js';
import {
  usualLimits,
  type ComparedFigures,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './contract/pane.js';
import { ageColumn, countColumn, durationColumn } from './contract/column.js';
import { rateTone, shareColumn, textColumn } from './contract/column.js';
import { hasColumn } from './contract/shape.js';
import { parseFilter } from './contract/filter.js';
import { callFigures, comparedPane } from './reading/comparison.js';
import { serverNowIn } from './reading/windows.js';
import { driftOf, notableDrift, patternOpening } from './reading/pattern.js';
import {
  best,
  failing,
  noUses,
  patternsStatement,
  PatternUsesReader,
  twins,
  used,
  whyUnknown,
  type PatternUses,
  type TopPatternsRow,
} from './reading/patterns.js';

export type TopPatternRow = {
  id: string | null;
  hash: string | null;
  intent: string | null;
  keywords: string[];
  agents: string[];
  successes: number | null;
  failures: number | null;
  uses: number;
  /** 0..1, of the uses with an outcome. */
  successRate: number;
  avgMs: number | null;
  confidence: number | null;
  lastUsed: Date | null;
  /** 0..1, of the latest uses; null where too few are known. */
  lately: number | null;
  /** How much worse it goes lately than ever, as a share. */
  drift: number | null;
  /** The pattern that asks for the same; only where twins are shown. */
  twin: string | null;
  /** Its logged uses in the window and in the one before; null: not counted. */
  window: ComparedFigures | null;
};

export type TopPatternsExtras = { shown: number };

/** More than any screen shows; a filter is looked for in more. */
const shown = 100;
const filtered = 2_000;

class TopPatternsReader implements PaneReader<TopPatternRow, TopPatternsExtras> {
  readonly #uses = new PatternUsesReader();

  async read(request: ReadRequest): Promise<PaneResult<TopPatternRow, TopPatternsExtras>> {
    return request.transaction(async (tx) => {
      const unknown = whyUnknown(request);
      if (unknown !== undefined) {
        const asOf = new Date(await serverNowIn(tx));
        return { rows: [], extras: { shown: 0 }, asOf, notes: [unknown] };
      }
      const { variant } = request;
      const filter = filterOf(request.filter);
      // Only what B compares needs them, and the order of what was used.
      const isLater = request.brief === true && !request.exact && variant !== used.id;
      const counting = isLater ? noUses : this.#uses.read(tx, request);
      const ask = (byId?: PatternUses['byId']) => {
        // One more tells whether there are more.
        const most = filter === undefined ? shown : filtered + 1;
        const { text, values } = patternsStatement(request.shape, variant, most, byId);
        return tx.query<TopPatternsRow>(text, [...values]);
      };
      const [uses, found, nowMs] = await Promise.all([
        counting,
        variant === used.id ? Promise.resolve(counting).then(({ byId }) => ask(byId)) : ask(),
        serverNowIn(tx),
      ]);
      const all = found.rows.slice(0, filtered).map((row) => ({
        id: row.id,
        hash: row.hash,
        intent: row.intent,
        keywords: row.keywords ?? [],
        agents: row.agents ?? [],
        successes: row.successes,
        failures: row.failures,
        uses: row.uses ?? 0,
        successRate: row.success_rate ?? 0,
        avgMs: row.avg_ms,
        confidence: row.confidence,
        lastUsed: row.last_used,
        ...latelyOf(row),
        twin: row.twin,
        window: row.id === null ? null : (uses.byId?.get(row.id) ?? uses.none),
      }));
      const rows = filter ? all.filter((row) => filter.matches(row, { nowMs })) : all;
      const isCut = found.rows.length > filtered;
      return {
        rows,
        extras: { shown: rows.length },
        asOf: new Date(nowMs),
        notes: isCut ? [`only the first ${formatCount(filtered)} were filtered`] : [],
        ...(uses.share < 1 ? { loading: { share: uses.share } } : {}),
      };
    });
  }

  reset(): void {
    this.#uses.reset();
  }
}

/** What was typed, of the pane as it is or beside the window before; undefined where neither takes it. */
function filterOf(filter: string | undefined) {
  if (filter === undefined) return undefined;
  const pane = topPatterns as unknown as Pane;
  const parsed = [pane, comparedPane(pane)].map((each) => parseFilter(filter, each));
  return parsed.flatMap((one) => ('filter' in one && one.filter ? [one.filter] : []))[0];
}

function latelyOf({ successes, failures, lately_good: good, lately_bad: bad }: TopPatternsRow) {
  const latelyGood = good ?? 0;
  const latelyBad = bad ?? 0;
  const drift = driftOf({ good: successes ?? 0, bad: failures ?? 0, latelyGood, latelyBad });
  return { lately: latelyRate({ good: latelyGood, bad: latelyBad }), drift };
}

export const topPatterns: Pane<TopPatternRow, TopPatternsExtras, 'top-patterns'> = {
  id: 'top-patterns',
  title: 'Top patterns',
  question: 'Which learned patterns succeed most, and how often are they used?',
  rowsAre: 'pattern',
  needs: {
    pattern_effectiveness: {
      required: ['success_rate', 'total_usage_count'],
      optional: ['pattern_hash', 'intent_classification', 'agent_sequence', 'last_used_at'],
    },
  },
  isInOverview: true,
  layout: { leftShare: 0.42 },
  variants: [best, failing, twins, used],
  // Only what B compares is of the window.
  windowed: true,
  looksBack: false,
  asksFilter: true,
  minIntervalMs: 5_000,
  limits: usualLimits,
  columns: [
    textColumn({
      id: 'intent',
      title: 'intent',
      value: ({ intent, hash }) => intent ?? hash,
      priority: 1,
      minWidth: 20,
      maxWidth: 32,
    }),
    textColumn({
      id: 'agents',
      title: 'agents',
      value: ({ agents, twin }) => (twin === null ? agents.join(' → ') : `same as ${twin}`),
      tone: ({ twin }) => (twin === null ? 'muted' : 'warning'),
      priority: 3,
      minWidth: 10,
    }),
    shareColumn({
      id: 'successRate',
      title: 'success',
      value: ({ successRate }) => successRate,
      tone: ({ successRate, uses }) => rateTone(successRate, uses),
      priority: 1,
    }),
    shareColumn({
      id: 'lately',
      title: 'lately',
      value: ({ lately }) => lately,
      tone: ({ drift }) => (drift !== null && drift >= notableDrift ? 'error' : 'muted'),
      priority: 2,
    }),
    countColumn({
      id: 'uses',
      title: 'uses',
      value: ({ uses }) => uses,
      priority: 2,
    }),
    durationColumn({
      id: 'avgMs',
      title: 'avg',
      value: ({ avgMs }) => avgMs,
      priority: 4,
    }),
    shareColumn({
      id: 'confidence',
      title: 'conf',
      value: ({ confidence }) => confidence,
      tone: () => 'muted',
      priority: 6,
    }),
    ageColumn({
      id: 'lastUsed',
      title: 'used',
      value: ({ lastUsed }) => lastUsed,
      priority: 5,
    }),
  ],
  sorts: [
    {
      id: 'success',
      title: 'most successful',
      direction: 'desc',
      value: ({ successRate }) => successRate,
    },
    { id: 'uses', title: 'most used', direction: 'desc', value: ({ uses }) => uses },
    { id: 'lastUsed', title: 'used last', direction: 'desc', value: ({ lastUsed }) => lastUsed },
    {
      id: 'drift',
      title: 'gets worse',
      direction: 'desc',
      value: ({ drift }) => drift,
    },
    { id: 'avg', title: 'slowest', direction: 'desc', value: ({ avgMs }) => avgMs },
  ],
  comparison: {
    names: 2,
    figures: callFigures,
    of: ({ window }) => window ?? {},
  },
  rowKey: ({ id, hash, intent }) => id ?? hash ?? intent ?? '',
  idOf: ({ id, hash, intent }) => id ?? hash ?? intent ?? '',
  empty: 'There is no active pattern yet. trace-console learn finds them in the traces.',
  createReader: () => new TopPatternsReader(),
  summary: ({ rows }) => {
    const [best] = rows;
    if (!best) return [];
    const most = rows.reduce((top, row) => (row.uses > top.uses ? row : top), best);
    return [
      [
        { text: `best ${formatShare(best.successRate)}` },
        { text: `most used ${formatCount(most.uses)} × ${most.intent ?? ''}`, tone: 'muted' },
      ],
    ];
  },
  detail: ({ id, hash, intent }, shape) => {
    const title = `Pattern ${intent ?? hash ?? ''}`;
    if (id !== null && hasColumn(shape, 'success_patterns', 'id')) {
      return patternOpening(title, id);
    }
    return {
      title,
      text: 'SELECT * FROM pattern_effectiveness WHERE pattern_hash = $1',
      values: [hash],
    };
  },
};
