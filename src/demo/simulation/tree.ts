import { type Embeddings, Random } from '../random.js';
import type { Incidents } from '../incidents.js';
import type { PatternBook } from '../patterns.js';
import type {
  TraceRow,
  CallRow,
  ChainRow,
  DecisionRow,
  ErrorRow,
  HookRow,
  UsageRow,
} from '../rows.js';
import type { Agent } from '../vocabulary/agents.js';
import { type Intent, intents } from '../vocabulary/intents.js';
import { projects, users, type Project, type User } from '../vocabulary/prompts.js';

/** What all trees of one run share. */
export type World = {
  incidents: Incidents;
  embeddings: Embeddings;
  patterns: PatternBook;
  /** Share of the routing decisions that store their query's embedding. */
  embeddingShare: number;
};

/** One user's prompt and everything that comes of it. */
export type Tree = {
  world: World;
  visit: Visit;
  random: Random;
  recorder: Recorder;
  clock: { readonly now: number };
  /** Traces that it may still start. */
  budget: number;
  /** Agents in the order in which they started. */
  chain: string[];
  deepest: number;
};

/** One trace of a tree while it runs. */
export type Run = {
  tree: Tree;
  trace: TraceRow;
  agent: Agent;
  intent: Intent;
  depth: number;
  /** Hooks so far. */
  hooks: number;
};

/** Why something ended badly. */
export type Trouble = { errorType: string; message: string };

/** The tables that a trace's own rows go to. */
export type TraceTables = {
  execution_traces: TraceRow;
  agent_routing_decisions: DecisionRow;
  hook_executions: HookRow;
  endpoint_calls: CallRow;
};

export type TraceTable = keyof TraceTables;

/** Takes what a simulated tree does. */
export interface Recorder {
  /** A new row, or one that was put before and has changed since. */
  put<Table extends TraceTable>(table: Table, row: TraceTables[Table]): void;
  /** A pattern was matched; its counters move. */
  usage(row: UsageRow): void;
  chain(row: ChainRow): void;
  error(row: ErrorRow): void;
}

/** One prompt of a session: who asks for what, where. */
export type Visit = {
  sessionId: string;
  user: User;
  project: Project;
  branch: string;
  intent: Intent;
  /** 0 for the session's first prompt. */
  position: number;
  last: boolean;
};

type Session = Omit<Visit, 'intent' | 'position' | 'last'> & {
  position: number;
  length: number;
  theme: Intent;
  lastAt: number;
};

const longestPause = 40 * 60_000;

/** People at work: some sessions are open at a time, each with a user, a project and a theme. */
export class Office {
  readonly #random: Random;
  readonly #places: number;
  #sessions: Session[] = [];

  constructor(seed: number, start: number, places: number) {
    this.#random = new Random('office', seed, start);
    this.#places = places;
  }

  /** The next prompt, at this time. Call it in the order of time. */
  next(time: number): Visit {
    this.#sessions = this.#sessions.filter(({ lastAt }) => time - lastAt < longestPause);
    const random = this.#random;
    const isFull = this.#sessions.length >= this.#places;
    const session = isFull || random.chance(0.5) ? this.#existing() : undefined;
    return this.#visit(session ?? this.#open(), time);
  }

  #existing(): Session | undefined {
    return this.#sessions.length > 0 ? this.#random.pick(this.#sessions) : undefined;
  }

  #open(): Session {
    const random = this.#random;
    const project = random.weighted(projects);
    const session: Session = {
      sessionId: random.uuid(),
      user: random.weighted(users),
      project,
      branch: random.pick(['main', 'main', `fix/${random.integer(100, 999)}`, 'feature/next']),
      position: 0,
      length: Math.min(24, 1 + Math.floor(-6 * Math.log(1 - random.next()))),
      theme: random.weighted(intents),
      lastAt: 0,
    };
    this.#sessions.push(session);
    return session;
  }

  #visit(session: Session, time: number): Visit {
    const random = this.#random;
    const { sessionId, user, project, branch, position, length, theme } = session;
    session.position += 1;
    session.lastAt = time;
    const last = session.position >= length;
    if (last) this.#sessions = this.#sessions.filter((other) => other !== session);
    const intent = random.chance(0.6) ? theme : random.weighted(intents);
    return { sessionId, user, project, branch, intent, position, last };
  }
}
