import { formatCount, formatShare } from '../shared/format/number.js';
import { patternOpening } from './details/pattern-opening.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './pane.js';
import { rateTone } from './rate-tone.js';
import { hasColumn } from './shape.js';
import { serverNowStatement, type ServerNowRow } from './statements/server-now.js';
import { topPatternsStatement, type TopPatternsRow } from './statements/top-patterns.js';

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
};

export type TopPatternsExtras = { shown: number };

/** More than any screen shows. */
const shown = 100;

class TopPatternsReader implements PaneReader<TopPatternRow, TopPatternsExtras> {
  async read(request: ReadRequest): Promise<PaneResult<TopPatternRow, TopPatternsExtras>> {
    return request.transaction(async (tx) => {
      const now = await tx.query<ServerNowRow>(serverNowStatement);
      const found = await tx.query<TopPatternsRow>(topPatternsStatement(request.shape), [shown]);
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
      }));
      return {
        rows,
        extras: { shown: rows.length },
        asOf: new Date(now.rows[0]?.now_ms ?? Date.now()),
        notes: [],
      };
    });
  }
}

export const topPatterns: Pane<TopPatternRow, TopPatternsExtras> = {
  id: 'top-patterns',
  title: 'Top patterns',
  question: 'Which learned patterns succeed most, and how often are they used?',
  needs: {
    pattern_effectiveness: {
      required: ['success_rate', 'total_usage_count'],
      optional: ['pattern_hash', 'intent_classification', 'agent_sequence', 'last_used_at'],
    },
  },
  windowed: false,
  minIntervalMs: 5_000,
  limits: usualLimits,
  columns: [
    {
      id: 'intent',
      title: 'intent',
      align: 'left',
      format: 'text',
      value: ({ intent, hash }) => intent ?? hash,
      priority: 1,
      minWidth: 10,
      maxWidth: 32,
    },
    {
      id: 'agents',
      title: 'agents',
      align: 'left',
      format: 'text',
      value: ({ agents }) => agents.join(' → '),
      tone: () => 'muted',
      priority: 3,
      minWidth: 10,
    },
    {
      id: 'successRate',
      title: 'success',
      align: 'right',
      format: 'share',
      value: ({ successRate }) => successRate,
      tone: ({ successRate, uses }) => rateTone(successRate, uses),
      priority: 1,
      minWidth: 7,
      maxWidth: 7,
    },
    {
      id: 'uses',
      title: 'uses',
      align: 'right',
      format: 'count',
      value: ({ uses }) => uses,
      priority: 2,
      minWidth: 6,
      maxWidth: 6,
    },
    {
      id: 'avgMs',
      title: 'avg',
      align: 'right',
      format: 'duration',
      value: ({ avgMs }) => avgMs,
      priority: 4,
      minWidth: 6,
      maxWidth: 6,
    },
    {
      id: 'confidence',
      title: 'conf',
      align: 'right',
      format: 'share',
      value: ({ confidence }) => confidence,
      tone: () => 'muted',
      priority: 6,
      minWidth: 4,
      maxWidth: 4,
    },
    {
      id: 'lastUsed',
      title: 'used',
      align: 'right',
      format: 'age',
      value: ({ lastUsed }) => lastUsed,
      priority: 5,
      minWidth: 4,
      maxWidth: 4,
    },
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
    { id: 'avg', title: 'slowest', direction: 'desc', value: ({ avgMs }) => avgMs },
  ],
  rowKey: ({ id, hash, intent }) => id ?? hash ?? intent ?? '',
  idOf: ({ id, hash, intent }) => id ?? hash ?? intent ?? '',
  empty: 'No pattern was learned yet. For examples: trace-console demo',
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
