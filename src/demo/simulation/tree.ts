import type { Embeddings } from '../embeddings.js';
import type { Incidents } from '../incidents.js';
import type { PatternBook } from '../patterns.js';
import type { Random } from '../random.js';
import type { TraceRow } from '../rows.js';
import type { Agent } from '../vocabulary/agents.js';
import type { Intent } from '../vocabulary/intents.js';
import type { Visit } from './office.js';
import type { Recorder } from './recorder.js';

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
