import type { Database } from '../../src/db/database.js';
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
