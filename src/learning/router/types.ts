/** How a router is opened. What is left out comes from the environment, as for the command line. */
export type RouterOptions = {
  /** `postgresql://user@host:port/database`; default: the connection that the environment names. */
  url?: string;
  /** Target schema; default: the first of search_path. */
  schema?: string;
  /** Connections at most, 5 to 20; default 5. */
  poolSize?: number;
  /** `hash`, the URL of an OpenAI-compatible endpoint, or `local:FOLDER`; as the patterns were learned with. */
  embedding?: string;
  /** The endpoint's model. */
  embeddingModel?: string;
  /** The least cosine similarity of a pattern; default: the model's, as calibrated. */
  threshold?: number;
  /** Between 0 and 1, for tries of agents that are less known; default Math.random. */
  random?: () => number;
};

/** A share with the interval in which the true one lies, with 95 % confidence (Wilson). */
export type SuccessRate = { rate: number; low: number; high: number; of: number };

/** A pattern that is near to a prompt. */
export type SimilarPattern = {
  id: string;
  /** Cosine similarity, up to 1. */
  similarity: number;
  intent: string;
  /** The agents in their order; the first one leads. */
  agents: readonly string[];
  success: SuccessRate;
  /** Fewer than ten uses: the interval is wide, and may be all there is to say. */
  fewUses: boolean;
  /**
   * The success rate lately: of the last 20 logged uses, or, where fewer than five were logged, of the turns that it was learned
   * from, each weighing 0.97 of the one after it. Null where that is fewer than three.
   */
  recentRate: number | null;
  /** The median of the good turns that it was learned from, off by 4.4 % at most; the average where none was learned. */
  expectedDurationMs: number | null;
  /** US dollars. */
  expectedCostUsd: number | null;
  /** Where the pattern's tools are known, in their order. */
  tools: readonly string[];
  lastUsedAt: string | null;
};

export type Recommendation = {
  agent: string;
  agents: readonly string[];
  patternId: string;
  /** In words. */
  reason: string;
};

export type Suggestion = {
  prompt: string;
  model: string;
  /** Nearest first. */
  patterns: readonly SimilarPattern[];
  /** Null: nothing is known, or what is known mostly failed. Never a guess. */
  recommendation: Recommendation | null;
  /** Why it is recommended, or why nothing is. */
  reason: string;
};

/** An agent that may be chosen. */
export type AgentOffer = {
  name: string;
  /** Words that speak for it. */
  triggers?: readonly string[];
  /** How well it can do what is asked, 0 to 1, as far as the caller knows; default 0.5. */
  capability?: number;
};

export type DecisionRequest = {
  prompt: string;
  /** Of the trace that the decision belongs to: its row must exist. */
  correlationId: string;
  /** Who may be chosen; default: the agents of the patterns that are near. */
  agents?: readonly AgentOffer[];
  /** The agent that the user asked for by name: it is chosen, and the decision written. */
  explicit?: string;
  /** Who is chosen when nothing speaks for anybody. Without it there is no decision then. */
  fallback?: string;
  /** Try agents that are less known now and then; default true. False: always the best known. */
  explore?: boolean;
};

/** Each 0 to 1. */
export type ConfidenceBreakdown = {
  /** Words of the prompt that the agent has as triggers. */
  trigger: number;
  /** How near the nearest pattern of the agent is. */
  context: number;
  capability: number;
  /** Its success rate with such prompts, lately. */
  historical: number;
};

export type Decision = {
  /** Of the row of agent_routing_decisions. */
  id: string;
  correlationId: string;
  agent: string;
  strategy: 'explicit' | 'learned_pattern' | 'exploration' | 'trigger_match' | 'fallback';
  confidence: number;
  breakdown: ConfidenceBreakdown;
  reason: string;
  patternId: string | null;
  similarity: number | null;
  expectedDurationMs: number | null;
  alternatives: readonly { agent: string; confidence: number }[];
};

export type Ending = {
  outcome: 'success' | 'failure' | 'partial' | 'skipped';
  durationMs?: number;
  /** What a person said of it. */
  feedback?: string;
};

export type Router = {
  /** What is known of such a prompt. Writes nothing. */
  suggest: (prompt: string, options?: { limit?: number }) => Promise<Suggestion>;
  /** Chooses an agent and writes the decision; null when nothing speaks for anybody. */
  decide: (request: DecisionRequest) => Promise<Decision | null>;
  /**
   * Writes how it went: the use of the pattern, and the decision's outcome. Called again for a decision, as after an answer that was
   * lost, it changes nothing: the first end stays.
   */
  finish: (decision: Decision, ending: Ending) => Promise<void>;
  /** Closes the connections. */
  close: () => Promise<void>;
};

export type OpenRouter = (options?: RouterOptions) => Promise<Router>;
