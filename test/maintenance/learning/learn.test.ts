import { afterAll, expect, test } from 'vitest';
import { runDemo } from '../../../src/demo/run.js';
import type { Database } from '../../../src/db/database.js';
import { hashEmbedder } from '../../../src/learning/embedding/embedder.js';
import { previewAction, runAction } from '../../../src/maintenance/registry.js';
import { closeDatabases, day, noon, openDatabase } from '../../demo/helpers.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { collect } from '../helpers.js';

afterAll(closeDatabases);

const signal = new AbortController().signal;

async function demoDatabase(): Promise<{ test: TestDatabase; database: Database }> {
  const test = await createTestDatabase();
  const database = await openDatabase(test);
  await runDemo(database, { seed: 7, start: noon, backfillMs: 40 * day, traces: 300 });
  return { test, database };
}

async function runs(test: TestDatabase) {
  const { rows } = await test.query(
    `SELECT action, state, subject, input, summary, (result->>'turns')::int AS turns
     FROM trace_console.maintenance_runs ORDER BY id`,
  );
  return rows;
}

test('learning shows what there is, says how far it is, and stands in the journal without its key', async () => {
  const { test, database } = await demoDatabase();
  const preview = await previewAction('learn', { database, signal }, {});
  const turns = Number(/^(\d+) that ended/.exec(preview.facts[0]?.value ?? '')?.[1]);
  expect(turns).toBeGreaterThan(100);
  const embedder = { ...hashEmbedder(), key: 'secret' };
  const { progress, outcome } = await collect(
    runAction('learn', { database, signal }, { embedder, leastTurns: 3 }),
  );
  expect(progress.findLast(({ phase }) => phase === 'learning')).toMatchObject({
    done: turns,
    total: turns,
    unit: 'turns',
  });
  expect(outcome.result.turns).toBe(turns);
  expect(await runs(test)).toEqual([
    {
      action: 'learn',
      state: 'done',
      subject: 'all that is new',
      input: { model: 'hash-1', leastTurns: 3 },
      summary: outcome.summary,
      turns,
    },
  ]);
  expect((await previewAction('learn', { database, signal }, {})).nothing).toMatch(/learned from/);
});

test('until it is stopped, --watch is one run of the journal with all that it learned', async () => {
  const { test, database } = await demoDatabase();
  const stop = new AbortController();
  const seen: number[] = [];
  const watch = {
    everyMs: 10,
    learned: ({ turns }: { turns: number }) => {
      seen.push(turns);
      stop.abort();
    },
  };
  const { outcome } = await collect(
    runAction('learn', { database, signal: stop.signal }, { watch }),
  );
  expect(outcome).toMatchObject({ cancelled: false, result: { turns: seen[0] } });
  expect(await runs(test)).toMatchObject([
    { action: 'learn', state: 'done', subject: 'until stopped', turns: seen[0] },
  ]);

  // Another model: what is known is embedded anew first, and it says how far that is.
  const { rows } = await test.query<{ groups: number }>(
    'SELECT count(*)::int AS groups FROM trace_console.prompt_clusters',
  );
  const again = new AbortController();
  const embedder = { ...hashEmbedder(), model: 'another' };
  const phases: unknown[] = [];
  for await (const step of runAction(
    'learn',
    { database, signal: again.signal },
    { watch, embedder },
  )) {
    phases.push(step);
    if (step.done !== undefined && step.done === step.total) again.abort();
  }
  const total = rows[0]?.groups;
  expect(phases.at(-1)).toMatchObject({
    phase: 'embedding prompts with another',
    done: total,
    total,
  });
});
