import { formatDuration } from '../../core/format/time.js';
import { counted, withSeparators } from '../../core/format/number.js';
import { fitsRows } from '../../core/vector-lists.js';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import type { Embedder } from '../../learning/embedding/embedder.js';
import type { LearnSummary } from '../../learning/learner/learn.js';
import type { Action, ActionContext, Fact, Outcome, Preview, Progress } from '../action.js';
import { readVectorIndexes } from '../doctor/checks/vectors.js';
import { runGuarded } from '../journal/journaled.js';
import { reindex } from '../reindex/reindex.js';

export type LearnInput = {
  /** Default: the one that the environment names, else the built-in one. */
  embedder?: Embedder | undefined;
  /** Only turns that started since. */
  since?: Date | undefined;
  /** At most so many turns. */
  limit?: number | undefined;
  /** A pattern gets a row from so many turns on. */
  leastTurns?: number | undefined;
  /** A pause after each transaction, in parts of its time. */
  restShare?: number | undefined;
  /** Do not rebuild the vector index afterwards. */
  keepIndexes?: boolean | undefined;
  /** Go on until cancelled; each look that learned something is reported. */
  watch?: { everyMs?: number | undefined; learned: (summary: LearnSummary) => void } | undefined;
};

/**
 * Learns from the turns that ended, with a line in the journal. It has no exclusive name: the learner's own lease
 * keeps a second one out, and sees at once that a killed one is gone. What learns is loaded when it is needed.
 */
export const learnAction: Action<LearnInput, LearnSummary> = {
  id: 'learn',
  title: 'Learn from traces',
  requires: ['primary', 'all-rows'],
  subject: subjectOf,
  // Keeps the embedder, which may hold a key, out of the journal. Learning needs no input to be resumed.
  keptInput: ({ embedder, since, limit, leastTurns, keepIndexes, watch }) => ({
    model: embedder?.model,
    since,
    limit,
    leastTurns,
    keepIndexes,
    ...(watch ? { watch: true } : {}),
  }),
  tables: () => ['execution_traces'],
  offers: [
    {
      command: {
        id: 'learn',
        key: 'U',
        title: 'learn patterns, chains and errors from the turns that ended, after a preview',
      },
      choose: () => ({ title: 'Learn from traces', input: {} }),
    },
  ],
  preview,
  run,
};

function subjectOf({ since, limit, watch }: LearnInput): string {
  const parts = [
    watch ? 'until stopped' : 'all that is new',
    ...(since === undefined ? [] : [`since ${since.toISOString().slice(0, 16)}Z`]),
    ...(limit === undefined ? [] : [`${counted(limit, 'turn')} at most`]),
  ];
  return parts.join(', ');
}

async function embedderOf(
  { embedder }: LearnInput,
  waits?: (line: string) => void,
): Promise<Embedder> {
  if (embedder) return embedder;
  const { chooseEmbedder } = await import('../../learning/embedding/choose.js');
  return chooseEmbedder({ waits });
}

async function preview({ database }: ActionContext, input: LearnInput): Promise<Preview> {
  const { countWork } = await import('../../learning/learner/learn.js');
  const { model } = await embedderOf(input);
  const { turns, feedback, otherModel } = await countWork(database, {
    model,
    since: input.since,
  });
  const count = withSeparators;
  const facts: Fact[] = [
    { label: 'Turns', value: `${count(turns)} that ended and were not learned from` },
    ...(feedback > 0
      ? [{ label: 'Feedback', value: `${counted(feedback, 'turn')} that people judged` }]
      : []),
    ...(otherModel > 0
      ? [{ label: 'Embedded anew', value: `${counted(otherModel, 'group')} of prompts` }]
      : []),
    { label: 'Embedding', value: model },
    { label: 'Locks', value: 'none that a writer of traces waits for' },
  ];
  return {
    title: 'Learn from traces',
    facts,
    sql: [],
    warnings: [],
    ...(turns + feedback + otherModel === 0
      ? { nothing: 'Every turn that ended was learned from.' }
      : {}),
  };
}

async function* run(
  context: ActionContext,
  input: LearnInput,
): AsyncGenerator<Progress, Outcome<LearnSummary>> {
  const waiting = new Waiting();
  const embedder = await embedderOf(input, (line) => waiting.say(line));
  const result = yield* waiting.among(
    input.watch ? runWatch(context, input, embedder) : runOnce(context, input, embedder),
  );
  const isCut = result.interrupted && !input.watch;
  return { summary: summaryOf(result), cancelled: isCut, result };
}

/** Says what an embedding endpoint is waited for, while the step that asks it has nothing to say. */
class Waiting {
  #line: string | undefined;
  #wake: (() => void) | undefined;

  say(line: string): void {
    this.#line = line;
    this.#wake?.();
  }

  async *among<Result>(steps: AsyncGenerator<Progress, Result>): AsyncGenerator<Progress, Result> {
    try {
      for (;;) {
        const next = steps.next();
        for (;;) {
          const said = new Promise<undefined>((resolve) => {
            this.#wake = () => resolve(undefined);
            if (this.#line !== undefined) resolve(undefined);
          });
          const step = await Promise.race([next, said]);
          const phase = this.#line;
          this.#line = undefined;
          if (!step) {
            if (phase !== undefined) yield { phase };
            continue;
          }
          if (step.done) return step.value;
          yield step.value;
          break;
        }
      }
    } finally {
      // Whoever gives up the run gives up its steps: they hold a lease.
      await steps.return(undefined as never);
    }
  }
}

async function* runOnce(
  context: ActionContext,
  { since, limit, leastTurns, restShare, keepIndexes }: LearnInput,
  embedder: Embedder,
): AsyncGenerator<Progress, LearnSummary> {
  const { learn } = await import('../../learning/learner/learn.js');
  const { database, signal } = context;
  const options = { embedder, since, limit, leastTurns, restShare, signal };
  const result = yield* learn(database, options);
  if (!keepIndexes && result.published.patterns > 0) yield* fitIndex(context);
  return result;
}

const fittedEveryMs = 10 * 60_000;

async function* runWatch(
  context: ActionContext,
  { since, leastTurns, restShare, keepIndexes, watch: how }: LearnInput,
  embedder: Embedder,
): AsyncGenerator<Progress, LearnSummary> {
  const { watch } = await import('../../learning/learner/learn.js');
  const { database, signal } = context;
  const begun = performance.now();
  const all: LearnSummary = {
    turns: 0,
    overruled: 0,
    published: { patterns: 0, chains: 0, errors: 0 },
    embedding: { model: embedder.model, ...embedder.usage() },
    milliseconds: 0,
    interrupted: false,
  };
  let fittedAt = -Infinity;
  const options = { embedder, since, leastTurns, restShare, signal, everyMs: how?.everyMs };
  for await (const summary of watch(database, options)) {
    if ('phase' in summary) {
      yield summary;
      continue;
    }
    how?.learned(summary);
    all.turns += summary.turns;
    all.overruled += summary.overruled;
    for (const kind of ['patterns', 'chains', 'errors'] as const) {
      all.published[kind] += summary.published[kind];
    }
    yield { phase: 'watching', done: all.turns, unit: 'turns' };
    const isDue = performance.now() - fittedAt >= fittedEveryMs;
    if (keepIndexes || !isDue || summary.published.patterns === 0) continue;
    yield* fitIndex(context);
    fittedAt = performance.now();
  }
  const embedding = { model: embedder.model, ...embedder.usage() };
  return { ...all, embedding, milliseconds: Math.round(performance.now() - begun) };
}

/** One line; also for the command. */
export function summaryOf(summary: LearnSummary): string {
  const { turns, overruled, published, embedding, milliseconds, interrupted } = summary;
  const { patterns, chains, errors } = published;
  const cost =
    embedding.tokens === 0
      ? ''
      : `, ${counted(embedding.tokens, 'token')} embedded with ${embedding.model} (${
          embedding.costUsd === null ? 'price not known' : `$${embedding.costUsd.toFixed(4)}`
        })`;
  return (
    `Learned from ${counted(turns, 'turn')} in ${formatDuration(milliseconds)}: wrote ${counted(patterns, 'pattern')}, ` +
    `${counted(chains, 'chain')}, ${counted(errors, 'error')}` +
    (overruled > 0 ? `; people overruled ${counted(overruled, 'judgement')}` : '') +
    cost +
    (interrupted ? '; interrupted, the next run goes on from here' : '') +
    '.'
  );
}

/** Up to so many patterns find_similar_patterns compares one by one, without the index. */
const comparedExactly = 1_000;

/**
 * The index learns its centres when it is built: it is rebuilt after the first patterns, and when there are many more,
 * by the action of its own. Where that is refused what was learned stays, and the journal says why.
 */
async function* fitIndex(context: ActionContext): AsyncGenerator<Progress, void> {
  const index = await unfitIndex(context.database);
  if (index === undefined) return;
  try {
    yield* runGuarded(reindex, context, { indexes: [index] });
  } catch (error) {
    if (!(error instanceof ConsoleError)) throw error;
    yield { phase: `${index} was not rebuilt: ${error.message}` };
  }
}

async function unfitIndex(database: Database): Promise<string | undefined> {
  const { schema } = database.capabilities;
  const indexes = await database.transaction({ readOnly: true }, (tx) =>
    readVectorIndexes(tx, schema),
  );
  const index = indexes.find(({ table }) => table === 'success_patterns');
  if (!index || index.rows <= comparedExactly) return undefined;
  return index.builtEmpty || !fitsRows(index.lists, index.rows) ? index.index : undefined;
}
