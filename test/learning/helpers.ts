import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../src/db/database.js';
import { groupBy, readNumber } from '../../src/core/values.js';
import { hashEmbedder } from '../../src/learning/embedding/embedder.js';
import { learn, type LearnOptions, type LearnSummary } from '../../src/learning/learner/learn.js';
import { intents } from '../../src/demo/vocabulary/intents.js';
import { otherLanguages, terse } from '../../src/demo/vocabulary/prompts.js';
import type { TestDatabase } from '../helpers/database.js';

export async function learnAll(
  database: Database,
  options: Partial<LearnOptions> = {},
): Promise<LearnSummary> {
  const run = learn(database, { embedder: hashEmbedder(), ...options });
  for (;;) {
    const event = await run.next();
    if (event.done) return event.value;
  }
}

/** The rows that learning wrote, as text, without the times of writing. */
export async function learnedRows(database: TestDatabase): Promise<string[]> {
  const { rows } = await database.query<{ row: string }>(
    `SELECT (to_jsonb(r) - '{created_at,updated_at}'::text[])::text AS row
     FROM success_patterns AS r WHERE 'learned' = ANY (tags)
     UNION ALL SELECT (to_jsonb(r) - '{created_at,updated_at}'::text[])::text
     FROM agent_chaining_patterns AS r WHERE 'learned' = ANY (tags)
     UNION ALL SELECT (to_jsonb(r) - '{created_at,updated_at}'::text[])::text
     FROM error_patterns AS r WHERE 'learned' = ANY (tags)
     UNION ALL SELECT to_jsonb(l)::text FROM trace_console.learned_traces AS l
     UNION ALL SELECT (to_jsonb(i) - 'is_published')::text FROM trace_console.learned_items AS i
     UNION ALL SELECT to_jsonb(c)::text FROM trace_console.prompt_clusters AS c
     ORDER BY 1`,
  );
  return rows.map(({ row }) => row);
}

/**
 * How well two partitions of the same things agree: 1 when they are the same, 0 as by chance (Hubert and Arabie).
 */
export function adjustedRandIndex(one: readonly string[], other: readonly string[]): number {
  const pairs = (count: number) => (count * (count - 1)) / 2;
  const sumOfPairs = (labels: readonly string[]) => {
    const counts = new Map<string, number>();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts.values()].reduce((sum, count) => sum + pairs(count), 0);
  };
  const both = sumOfPairs(one.map((label, index) => `${label}\u0000${other[index]}`));
  const [inOne, inOther] = [sumOfPairs(one), sumOfPairs(other)];
  const byChance = (inOne * inOther) / pairs(one.length);
  return (both - byChance) / ((inOne + inOther) / 2 - byChance);
}

/** How often a sequence of agents was planted, and how often it was learned. */
export type ChainCount = { agents: string[]; planted: number | null; learned: number | null };

/**
 * Of how many turns the chain of agents that the demo says it planted is the learned one: of the learned ones (precision), and of the
 * planted ones (recall). A chain is its first agent and which others follow: the demo begins those side by side at the same
 * moment, and their order is then in no row. Of a longer turn both keep the first six agents, each in its own order: there
 * they may keep others.
 */
export async function chainAgreement(
  read: (text: string) => Promise<ChainCount[]>,
): Promise<{ precision: number; recall: number; turns: number }> {
  const rows = await read(
    `SELECT agent_sequence AS agents, sum(occurrence_count) FILTER (WHERE 'trace-console-demo' = ANY (tags))::int AS planted,
       sum(occurrence_count) FILTER (WHERE 'learned' = ANY (tags))::int AS learned
     FROM agent_chaining_patterns GROUP BY 1`,
  );
  const counts = new Map<string, { planted: number; learned: number }>();
  for (const { agents, planted, learned } of rows) {
    const [first = '', ...others] = agents.slice(0, 6);
    const key = [first, ...new Set(others.toSorted())].join(' ');
    const before = counts.get(key) ?? { planted: 0, learned: 0 };
    counts.set(key, {
      planted: before.planted + (planted ?? 0),
      learned: before.learned + (learned ?? 0),
    });
  }
  const sum = (of: (one: { planted: number; learned: number }) => number) =>
    [...counts.values()].reduce((total, one) => total + of(one), 0);
  const both = sum(({ planted, learned }) => Math.min(planted, learned));
  const turns = sum(({ planted }) => planted);
  return { precision: both / sum(({ learned }) => learned), recall: both / turns, turns };
}

const requests = intents.flatMap(({ name, templates }) =>
  templates.map((template, index) => ({
    name: `${name}/${index}`,
    intent: name,
    pattern: new RegExp(
      `^${template.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[\\s\\S]+?')}`,
    ),
  })),
);

/** Which request of the demo's vocabulary a prompt was made of; undefined for those of two words. */
export function plantedRequest(prompt: string, intent: string): string | undefined {
  if ((terse as readonly string[]).includes(prompt)) return undefined;
  if ((otherLanguages as readonly string[]).includes(prompt)) return prompt;
  const found = requests.find((one) => one.intent === intent && one.pattern.test(prompt));
  if (!found) throw new Error(`no request of the demo: ${prompt}`);
  return found.name;
}

/** Of two events of one family, how often they belong together, and the other way round. */
export function pairsOf(events: readonly { planted: string; found: string }[]) {
  const pairs = (keyOf: (event: { planted: string; found: string }) => string) =>
    [...groupBy(events, keyOf).values()].reduce(
      (sum, { length }) => sum + (length * (length - 1)) / 2,
      0,
    );
  const both = pairs(({ found, planted }) => `${found} ${planted}`);
  return {
    precision: both / pairs(({ found }) => found),
    recall: both / pairs(({ planted }) => planted),
  };
}

/** A turn with its routing decision, as a writer leaves it. */
export async function addTurn(
  test: TestDatabase,
  prompt: string,
  agent: string,
  isGood: boolean,
): Promise<string> {
  const id = randomUUID();
  await test.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, status, started_at,
         completed_at, cost_usd)
       VALUES ($1, $1, gen_random_uuid(), 'user_prompt', $2, $4, now() - interval '1 minute', now(), 0.25)
       RETURNING id)
     INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
     SELECT id, $3, 0.5, 'explicit' FROM trace`,
    [id, prompt, agent, isGood ? 'completed' : 'failed'],
  );
  return id;
}

/** A trace that waits for a decision. */
export async function openTrace(test: TestDatabase, prompt: string): Promise<string> {
  const id = randomUUID();
  await test.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text)
     VALUES ($1, $1, gen_random_uuid(), 'user_prompt', $2)`,
    [id, prompt],
  );
  return id;
}

/** Kills a learner a few moments after it took its lease; gives the priority of its most urgent thread. */
export async function killWhenLearning(
  database: TestDatabase,
  child: ChildProcess,
  afterMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const isLearning = async () => {
    const { rows } = await database.query<{ learning: boolean }>(
      `SELECT xpath_exists('//holder', query_to_xml(
         'SELECT holder FROM trace_console.learners WHERE process->>''pid'' = ''${child.pid ?? 0}''', false, false, '')) AS learning
       FROM pg_class WHERE relname = 'learners'`,
    );
    return rows[0]?.learning ?? false;
  };
  while (!signal.aborted && !(await isLearning())) await sleep(5);
  const threads = signal.aborted ? [] : readdirSync(`/proc/${child.pid ?? 0}/task`);
  const nice = threads.map((thread) => getPriority(readNumber(thread)));
  await sleep(afterMs);
  if (signal.aborted) return undefined;
  child.kill('SIGKILL');
  return Math.min(...nice);
}
