import { formatCount, formatShare } from '../core/format/number.js';
import { latelyRate, latelySql, leastForLately } from '../core/share.js';
import {
  namedCommands,
  usualLimits,
  type ComparedFigures,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './contract/pane.js';
import { ageColumn, countColumn, durationColumn } from './contract/column.js';
import { rateTone, shareColumn, textColumn } from './contract/column.js';
import { hasColumn, columnOrNull, type SchemaShape, boundedTexts } from './contract/shape.js';
import { callFigures } from './reading/comparison.js';
import { serverNowIn } from './reading/windows.js';
import { driftOf, notableDrift, patternOpening, twinSimilarity } from './reading/pattern.js';
import { noUses, PatternUsesReader, type PatternUses } from './reading/pattern-uses.js';
import { boundedText } from '../db/quote.js';

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

/** More than any screen shows. */
const shown = 100;

class TopPatternsReader implements PaneReader<TopPatternRow, TopPatternsExtras> {
  readonly #uses = new PatternUsesReader();

  async read(request: ReadRequest): Promise<PaneResult<TopPatternRow, TopPatternsExtras>> {
    return request.transaction(async (tx) => {
      const isWhole = hasColumn(request.shape, 'success_patterns', 'context');
      // Only what B compares needs them, and the order of what was used.
      const isLater = request.brief === true && !request.exact && request.variant !== used.id;
      const counting = isLater ? noUses : this.#uses.read(tx, request);
      const variant = isWhole ? request.variant : undefined;
      const ask = (byId?: PatternUses['byId']) => {
        const { text, values } = statementOf(request.shape, variant, byId);
        return tx.query<TopPatternsRow>(text, [...values]);
      };
      const [uses, found, nowMs] = await Promise.all([
        counting,
        variant === used.id ? Promise.resolve(counting).then(({ byId }) => ask(byId)) : ask(),
        serverNowIn(tx),
      ]);
      const rows = found.rows.map((row) => ({
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
      return {
        rows,
        extras: { shown: rows.length },
        asOf: new Date(nowMs),
        notes: [],
        ...(uses.share < 1 ? { loading: { share: uses.share } } : {}),
      };
    });
  }

  reset(): void {
    this.#uses.reset();
  }
}

function latelyOf({ successes, failures, lately_good: good, lately_bad: bad }: TopPatternsRow) {
  const latelyGood = good ?? 0;
  const latelyBad = bad ?? 0;
  const drift = driftOf({ good: successes ?? 0, bad: failures ?? 0, latelyGood, latelyBad });
  return { lately: latelyRate({ good: latelyGood, bad: latelyBad }), drift };
}

type Statement = { text: string; values: readonly unknown[] };

function statementOf(
  shape: SchemaShape,
  variant: string | undefined,
  uses: PatternUses['byId'],
): Statement {
  if (variant === used.id && uses) {
    const most = [...uses].toSorted(([, a], [, b]) => usesOf(b) - usesOf(a)).slice(0, shown);
    return { text: usedStatement(shape), values: [most.map(([id]) => id)] };
  }
  if (variant === failing.id) {
    return {
      text: failingStatement(shape),
      values: [shown, lastUsedSeen, notableDrift, leastForLately],
    };
  }
  if (variant === twins.id && hasColumn(shape, 'success_patterns', 'prompt_embedding')) {
    return { text: twinsStatement(shape), values: [shown, twinsSeen, twinSimilarity] };
  }
  return { text: topPatternsStatement(shape), values: [shown] };
}

function usesOf({ calls }: ComparedFigures): number {
  return (calls?.now ?? 0) + (calls?.before ?? 0);
}

/** Of so many patterns, those used last, it is seen how they go lately: 60 µs each that ever failed. */
const lastUsedSeen = 1_000;
/** Of so many patterns, those used last, each is compared with each: 160 ms where all have an embedding. */
const twinsSeen = 150;

const best = { id: 'best', title: 'the best' };
const used = other('used', 'used in the window', 'No logged use in the window');
const failing = other(
  'failing',
  'fail lately',
  `None of the ${formatCount(lastUsedSeen)} used last does`,
);
const twins = other('twins', 'ask for the same', `None of the ${twinsSeen} used last does`);

function other(id: string, title: string, none: string) {
  return { id, title, empty: `${none}; :${namedCommands.group} shows others.` };
}

/**
 * Active patterns that go worse lately than ever, the worst first: one that never failed cannot. Those that were never used would
 * be the first of the index. `$1`: how many, `$2`: of how many, `$3`: by how much, `$4`: from how many uses on it is known how
 * they go lately.
 */
function failingStatement(shape: SchemaShape): string {
  return `
WITH p AS MATERIALIZED (
  SELECT * FROM success_patterns WHERE is_active AND last_used_at IS NOT NULL ORDER BY last_used_at DESC LIMIT $2),
figures AS (
  SELECT ${columnsOf(shape, 'p')}, lately.good AS lately_good, lately.bad AS lately_bad, NULL::text AS twin,
    success_count::float8 / NULLIF(success_count + failure_count, 0)
      - lately.good / NULLIF(lately.good + lately.bad, 0) AS worse
  FROM p CROSS JOIN LATERAL (${latelySql}) AS lately
  WHERE p.failure_count > 0 AND lately.good + lately.bad >= $4)
SELECT * FROM figures WHERE worse >= $3 ORDER BY worse DESC LIMIT $1`;
}

/** Patterns that were used in the window or in the one before. `$1`: their ids. */
function usedStatement(shape: SchemaShape): string {
  return `
SELECT ${columnsOf(shape, 'p')}, lately.good AS lately_good, lately.bad AS lately_bad, NULL::text AS twin
FROM success_patterns AS p CROSS JOIN LATERAL (${latelySql}) AS lately
WHERE p.id = ANY ($1::uuid[])
ORDER BY p.success_rate DESC, p.total_usage_count DESC`;
}

/**
 * Active patterns of one embedding model, one leading agent and one origin (learned or not) that ask for the same, each with its
 * nearest: those that can be merged. What another agent does for the same prompts is no duplicate: a router chooses. Those that
 * were never used come last; in an order of its own, which the index has. `$1`: how many, `$2`: of how many, `$3`: from which
 * similarity on.
 */
function twinsStatement(shape: SchemaShape): string {
  return `
WITH p AS MATERIALIZED (
  (SELECT * FROM success_patterns WHERE is_active AND prompt_embedding IS NOT NULL AND last_used_at IS NOT NULL
   ORDER BY last_used_at DESC LIMIT $2)
  UNION ALL
  (SELECT * FROM success_patterns WHERE is_active AND prompt_embedding IS NOT NULL AND last_used_at IS NULL LIMIT $2)
  LIMIT $2)
SELECT ${columnsOf(shape, 'p')}, lately.good AS lately_good, lately.bad AS lately_bad,
  ${boundedText('COALESCE(near.intent_classification, near.pattern_hash)', 195)} || to_char(near.similarity, 'FM" "0.00') AS twin
FROM p
CROSS JOIN LATERAL (
  SELECT o.intent_classification, o.pattern_hash, 1 - (o.prompt_embedding <=> p.prompt_embedding) AS similarity
  FROM p AS o
  WHERE o.id <> p.id AND o.embedding_model IS NOT DISTINCT FROM p.embedding_model
    AND o.agent_sequence[1] IS NOT DISTINCT FROM p.agent_sequence[1]
    AND (o.pattern_hash LIKE 'learned:%') IS NOT DISTINCT FROM (p.pattern_hash LIKE 'learned:%')
  ORDER BY o.prompt_embedding <=> p.prompt_embedding LIMIT 1) AS near
CROSS JOIN LATERAL (${latelySql}) AS lately
WHERE near.similarity >= $3 AND near.similarity <> 'NaN'
ORDER BY near.similarity DESC, p.id LIMIT $1`;
}

/**
 * The best active patterns. `$1`: how many. The first rows of idx_pattern_effectiveness, in its order: 0.7 ms
 * with 50,000 patterns.
 */
export function topPatternsStatement(shape: SchemaShape): string {
  const page = `
SELECT ${columnsOf(shape, 'v')} FROM pattern_effectiveness AS v
ORDER BY success_rate DESC, total_usage_count DESC
LIMIT $1`;
  // How each of them goes lately costs a look into the log: the whole reading takes 7 ms with 50,000 patterns.
  const isWhole =
    hasColumn(shape, 'pattern_effectiveness', 'id') &&
    hasColumn(shape, 'success_patterns', 'context') &&
    hasColumn(shape, 'pattern_usage_log', 'outcome');
  return isWhole
    ? `
SELECT best.*, lately.good AS lately_good, lately.bad AS lately_bad, NULL::text AS twin
FROM (${page}) AS best
LEFT JOIN LATERAL (
  SELECT l.* FROM success_patterns AS p CROSS JOIN LATERAL (${latelySql}) AS l WHERE p.id = best.id
  OFFSET 0) AS lately ON true
ORDER BY best.success_rate DESC, best.uses DESC`
    : `
SELECT best.*, NULL::float8 AS lately_good, NULL::float8 AS lately_bad, NULL::text AS twin
FROM (${page}) AS best`;
}

function columnsOf(shape: SchemaShape, alias: string): string {
  const optional = (column: string, type: string) => {
    const sql = columnOrNull(shape, 'pattern_effectiveness', column, type);
    return hasColumn(shape, 'pattern_effectiveness', column) ? `${alias}.${sql}` : sql;
  };
  return `
  date_part('epoch', now()) * 1000 AS now_ms,
  ${optional('id', 'uuid')} AS id,
  ${boundedText(optional('pattern_hash', 'text'), 512)} AS hash,
  ${boundedText(optional('intent_classification', 'text'), 512)} AS intent,
  ${boundedTexts(optional('keywords', 'text[]'))} AS keywords,
  ${boundedTexts(optional('agent_sequence', 'text[]'))} AS agents,
  ${optional('success_count', 'integer')} AS successes,
  ${optional('failure_count', 'integer')} AS failures,
  ${alias}.total_usage_count AS uses,
  ${alias}.success_rate,
  ${optional('avg_duration_ms', 'bigint')} AS avg_ms,
  ${optional('confidence_score', 'numeric')} AS confidence,
  ${optional('last_used_at', 'timestamptz')} AS last_used`;
}

export type TopPatternsRow = {
  now_ms: number;
  id: string | null;
  hash: string | null;
  intent: string | null;
  keywords: string[] | null;
  agents: string[] | null;
  successes: number | null;
  failures: number | null;
  uses: number | null;
  success_rate: number | null;
  avg_ms: number | null;
  confidence: number | null;
  last_used: Date | null;
  lately_good: number | null;
  lately_bad: number | null;
  twin: string | null;
};

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
