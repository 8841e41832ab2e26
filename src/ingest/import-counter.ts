import type { AgentEvent, ModelCalled, Usage } from './events.js';
import type { Prices } from './prices.js';

/** What was read. Of a file that was read before only what has come since. */
export type ImportCounts = {
  files: number;
  sessions: number;
  prompts: number;
  modelCalls: number;
  toolCalls: number;
  failedToolCalls: number;
  subagents: number;
  tokens: { input: number; output: number; cacheRead: number; cacheCreation: number };
  /** US dollars of the calls whose price is known. */
  costUsd: number;
  /** Models of calls without a price or without tokens, in alphabetical order. */
  unpriced: string[];
  skippedLines: number;
};

type Call = {
  model: string | undefined;
  provider: string;
  at: number;
  usage: Usage | undefined;
  costUsd: number | undefined;
};

/** What happened in a session, by its own ids: joined with the session's they would take twice the memory. */
type SessionCounts = {
  subagents: Set<string>;
  calls: Map<string, Call>;
  /** Whether each use of a tool has failed. */
  tools: Map<string, boolean>;
  prompts: Set<string>;
};

const kinds = ['input', 'output', 'cacheRead', 'cacheCreation', 'cacheCreation1h'] as const;

/**
 * Counts happenings, not events: one call or one use of a tool is told by several lines, and by several files of a
 * session. What is one row in the database is counted once.
 */
export class ImportCounter {
  readonly counts: ImportCounts = {
    files: 0,
    sessions: 0,
    prompts: 0,
    modelCalls: 0,
    toolCalls: 0,
    failedToolCalls: 0,
    subagents: 0,
    tokens: { input: 0, output: 0, cacheRead: 0, cacheCreation: 0 },
    costUsd: 0,
    unpriced: [],
    skippedLines: 0,
  };
  readonly #prices: Prices | undefined;
  readonly #sessions = new Map<string, SessionCounts>();

  constructor(prices: Prices | undefined) {
    this.#prices = prices;
  }

  count(event: AgentEvent): void {
    const session = this.#sessions.get(event.session) ?? newCounts();
    this.#sessions.set(event.session, session);
    switch (event.kind) {
      case 'prompt':
        session.prompts.add(event.turn ?? String(event.at));
        break;
      case 'model_call':
        countCall(session.calls, event);
        break;
      case 'tool_started':
      case 'tool_ended': {
        const hasFailed = event.kind === 'tool_ended' && event.error !== undefined;
        const { toolUse } = event;
        session.tools.set(toolUse, hasFailed || session.tools.get(toolUse) === true);
        break;
      }
      case 'subagent_started':
      case 'subagent_ended':
        session.subagents.add(event.id);
        break;
      default:
    }
  }

  /** All counts; costs are found from the tokens of whole calls. */
  async finish(): Promise<ImportCounts> {
    const { tokens } = this.counts;
    const unpriced = new Set<string>();
    let costUsd = 0;
    const sessions = [...this.#sessions.values()];
    for (const call of sessions.flatMap(({ calls }) => [...calls.values()])) {
      tokens.input += call.usage?.input ?? 0;
      tokens.output += call.usage?.output ?? 0;
      tokens.cacheRead += call.usage?.cacheRead ?? 0;
      tokens.cacheCreation += call.usage?.cacheCreation ?? 0;
      const usd = call.costUsd ?? (await this.#prices?.costOf(call))?.usd;
      if (usd === undefined) unpriced.add(call.model ?? 'unknown');
      else costUsd += usd;
    }
    const sum = (of: (session: SessionCounts) => number) =>
      sessions.reduce((total, session) => total + of(session), 0);
    return {
      ...this.counts,
      sessions: sessions.length,
      prompts: sum(({ prompts }) => prompts.size),
      modelCalls: sum(({ calls }) => calls.size),
      toolCalls: sum(({ tools }) => tools.size),
      failedToolCalls: sum(({ tools }) => [...tools.values()].filter(Boolean).length),
      subagents: sum(({ subagents }) => subagents.size),
      costUsd: Math.round(costUsd * 1e6) / 1e6,
      unpriced: this.#prices ? [...unpriced].toSorted() : [],
    };
  }
}

function newCounts(): SessionCounts {
  return { subagents: new Set(), calls: new Map(), tools: new Map(), prompts: new Set() };
}

function countCall(
  calls: Map<string, Call>,
  { message, model, provider, at, usage, costUsd }: ModelCalled,
): void {
  const call = calls.get(message);
  if (!call) {
    calls.set(message, { model, provider, at, usage: most(undefined, usage), costUsd });
    return;
  }
  call.model ??= model;
  call.at = Math.min(call.at, at);
  call.usage = most(call.usage, usage);
  call.costUsd ??= costUsd;
}

/** One call's tokens stand on several lines: the largest figure of each kind is the final one. */
function most(known: Usage | undefined, told: Partial<Usage> | undefined): Usage | undefined {
  if (told === undefined) return known;
  const usage = known ?? {
    input: 0,
    output: 0,
    cacheRead: 0,
    cacheCreation: 0,
    cacheCreation1h: 0,
  };
  for (const kind of kinds) usage[kind] = Math.max(usage[kind], told[kind] ?? 0);
  return usage;
}
