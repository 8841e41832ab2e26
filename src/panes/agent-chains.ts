import { formatCount, formatShare } from '../shared/format/number.js';
import { sortRows } from './cells.js';
import { fullRecord } from './full-record.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type Sort,
} from './pane.js';
import { rateTone } from './rate-tone.js';
import { agentChainsStatement, type AgentChainsRow } from './statements/agent-chains.js';
import { serverNowStatement, type ServerNowRow } from './statements/server-now.js';

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

export const agentChains: Pane<AgentChainRow, AgentChainsExtras> = {
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
    {
      id: 'agents',
      title: 'agents',
      align: 'left',
      format: 'text',
      value: ({ agents, primaryAgent }) => (agents.length > 0 ? agents.join(' → ') : primaryAgent),
      priority: 1,
      minWidth: 16,
    },
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
    {
      id: 'occurrences',
      title: 'times',
      align: 'right',
      format: 'count',
      value: ({ occurrences }) => occurrences,
      priority: 1,
      minWidth: 6,
      maxWidth: 6,
    },
    {
      id: 'successRate',
      title: 'success',
      align: 'right',
      format: 'share',
      value: ({ successRate }) => successRate,
      tone: ({ successRate, occurrences }) => rateTone(successRate, occurrences),
      priority: 2,
      minWidth: 7,
      maxWidth: 7,
    },
    {
      id: 'avgMs',
      title: 'avg',
      align: 'right',
      format: 'duration',
      value: ({ avgMs }) => avgMs,
      priority: 3,
      minWidth: 6,
      maxWidth: 6,
    },
    {
      id: 'overheadMs',
      title: 'handover',
      align: 'right',
      format: 'duration',
      value: ({ overheadMs }) => overheadMs,
      priority: 4,
      minWidth: 8,
      maxWidth: 8,
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
  empty: 'No chain of agents was learned yet. For examples: trace-console demo',
  createReader: () => new AgentChainsReader(),
  summary: ({ rows }) => {
    const [first] = rows;
    if (!first) return [];
    const worst = rows.reduce((low, row) => (row.successRate < low.successRate ? row : low), first);
    return [
      [
        { text: `${formatCount(rows.length)} chains` },
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
