import { countedShort, formatShare } from '../core/format/number.js';
import {
  sortRows,
  type Sort,
  ageColumn,
  countColumn,
  durationColumn,
  rateTone,
  shareColumn,
  textColumn,
} from './contract/column.js';
import { fullRecord } from './reading/record.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './contract/pane.js';
import { serverNowStatement, type ServerNowRow } from './reading/windows.js';
import { columnOrNull, type SchemaShape, boundedTexts } from './contract/shape.js';
import { boundedText } from '../db/quote.js';

/** A sequence of agents that work one after another. */
export type AgentChainRow = {
  id: string;
  primaryAgent: string;
  agents: string[];
  depth: number | null;
  occurrences: number;
  /** 0..1 */
  successRate: number;
  /** Of the whole chain, milliseconds. */
  avgMs: number | null;
  /** Of that: handing over from one agent to the next. */
  overheadMs: number | null;
  lastUsed: Date | null;
};

export type AgentChainsExtras = { shown: number };

/** Of more chains than this only those used last are shown. */
const mostChains = 500;

const mostFrequent: Sort<AgentChainRow> = {
  id: 'occurrences',
  title: 'most frequent',
  direction: 'desc',
  value: ({ occurrences }) => occurrences,
};

class AgentChainsReader implements PaneReader<AgentChainRow, AgentChainsExtras> {
  async read(request: ReadRequest): Promise<PaneResult<AgentChainRow, AgentChainsExtras>> {
    return request.transaction(async (tx) => {
      const now = await tx.query<ServerNowRow>(serverNowStatement);
      const found = await tx.query<AgentChainsRow>(agentChainsStatement(request.shape), [
        mostChains,
      ]);
      const rows = sortRows(found.rows.map(rowOf), mostFrequent);
      return {
        rows,
        extras: { shown: rows.length },
        asOf: new Date(now.rows[0]?.now_ms ?? Date.now()),
        notes: rows.length === mostChains ? [`only the ${mostChains} used last`] : [],
      };
    });
  }
}

function rowOf(row: AgentChainsRow): AgentChainRow {
  return {
    id: row.id,
    primaryAgent: row.primary_agent,
    agents: row.agents ?? [],
    depth: row.depth,
    occurrences: row.occurrences ?? 0,
    successRate: row.success_rate ?? 0,
    avgMs: row.avg_ms,
    overheadMs: row.overhead_ms,
    lastUsed: row.last_used,
  };
}

/** The chains used last. `$1`: how many. The first rows of idx_agent_chaining_last_used. */
export function agentChainsStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'agent_chaining_patterns', column, type);
  return `
SELECT
  id,
  ${boundedText('primary_agent', 512)} AS primary_agent,
  ${boundedTexts(optional('agent_sequence', 'text[]'))} AS agents,
  ${optional('delegation_depth', 'integer')} AS depth,
  ${optional('occurrence_count', 'integer')} AS occurrences,
  ${optional('success_rate', 'numeric')} AS success_rate,
  ${optional('avg_total_duration_ms', 'bigint')} AS avg_ms,
  ${optional('avg_coordination_overhead_ms', 'bigint')} AS overhead_ms,
  last_used_at AS last_used
FROM (
  (SELECT * FROM agent_chaining_patterns WHERE last_used_at IS NOT NULL ORDER BY last_used_at DESC LIMIT $1)
  UNION ALL
  (SELECT * FROM agent_chaining_patterns WHERE last_used_at IS NULL LIMIT $1)
  LIMIT $1) AS newest
ORDER BY last_used_at DESC NULLS LAST`;
}

export type AgentChainsRow = {
  id: string;
  primary_agent: string;
  agents: string[] | null;
  depth: number | null;
  occurrences: number | null;
  success_rate: number | null;
  avg_ms: number | null;
  overhead_ms: number | null;
  last_used: Date | null;
};

export const agentChains: Pane<AgentChainRow, AgentChainsExtras, 'agent-chains'> = {
  id: 'agent-chains',
  title: 'Agent chains',
  question: 'Which agents work one after another, how well, and what does handing over cost?',
  needs: {
    agent_chaining_patterns: {
      required: ['id', 'primary_agent', 'last_used_at'],
      optional: ['agent_sequence', 'occurrence_count', 'success_rate', 'avg_total_duration_ms'],
    },
  },
  windowed: false,
  minIntervalMs: 5_000,
  limits: usualLimits,
  columns: [
    textColumn({
      id: 'agents',
      title: 'agents',
      value: ({ agents, primaryAgent }) => (agents.length > 0 ? agents.join(' → ') : primaryAgent),
      priority: 1,
      minWidth: 16,
    }),
    {
      id: 'depth',
      title: 'depth',
      align: 'right',
      format: 'count',
      value: ({ depth }) => depth,
      tone: () => 'muted',
      priority: 6,
      minWidth: 5,
      maxWidth: 5,
    },
    countColumn({
      id: 'occurrences',
      title: 'times',
      value: ({ occurrences }) => occurrences,
      priority: 1,
    }),
    shareColumn({
      id: 'successRate',
      title: 'success',
      value: ({ successRate }) => successRate,
      tone: ({ successRate, occurrences }) => rateTone(successRate, occurrences),
      priority: 2,
    }),
    durationColumn({
      id: 'avgMs',
      title: 'avg',
      value: ({ avgMs }) => avgMs,
      priority: 3,
    }),
    durationColumn({
      id: 'overheadMs',
      title: 'handover',
      value: ({ overheadMs }) => overheadMs,
      priority: 4,
    }),
    ageColumn({
      id: 'lastUsed',
      title: 'used',
      value: ({ lastUsed }) => lastUsed,
      priority: 5,
    }),
  ],
  sorts: [
    mostFrequent,
    {
      id: 'success',
      title: 'least successful',
      direction: 'asc',
      value: ({ successRate }) => successRate,
    },
    { id: 'avg', title: 'slowest', direction: 'desc', value: ({ avgMs }) => avgMs },
    {
      id: 'overhead',
      title: 'longest handover',
      direction: 'desc',
      value: ({ overheadMs }) => overheadMs,
    },
    { id: 'lastUsed', title: 'used last', direction: 'desc', value: ({ lastUsed }) => lastUsed },
  ],
  rowKey: ({ id }) => id,
  idOf: ({ id }) => id,
  empty: 'No chain of agents was learned yet. Chains come by trace-console learn.',
  hasExamples: true,
  createReader: () => new AgentChainsReader(),
  summary: ({ rows }) => {
    const [first] = rows;
    if (!first) return [];
    const worst = rows.reduce((low, row) => (row.successRate < low.successRate ? row : low), first);
    return [
      [
        { text: countedShort(rows.length, 'chain') },
        {
          text: `least successful ${formatShare(worst.successRate)}`,
          tone: rateTone(worst.successRate, worst.occurrences) ?? 'muted',
        },
      ],
    ];
  },
  detail: ({ id, primaryAgent }, shape) =>
    fullRecord(`Chain of ${primaryAgent}`, 'agent_chaining_patterns', id, shape),
};
