import { describe, expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import { verifySchema } from '../../../src/deploy/compare.js';
import { vectorLists } from '../../../src/maintenance/doctor/checks/vectors.js';
import { previewAction, runAction } from '../../../src/maintenance/registry.js';
import type { ReindexInput } from '../../../src/maintenance/reindex/reindex.js';
import { indexUsage } from '../../../src/panes/index-usage.js';
import { openConsole } from '../../deploy/helpers.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { readFresh } from '../../panes/open.js';
import { diagnose } from '../doctor/helpers.js';
import { collect } from '../helpers.js';
import { addPatterns } from './embeddings.js';
import { holdTable, phaseOf } from './rebuild-phases.js';

const index = 'idx_pattern_embedding';

async function patternIndexes(test: TestDatabase): Promise<object[]> {
  const { rows } = await test.query<{ name: string }>(
    `SELECT i.relname AS name, am.amname AS method, i.reloptions::text AS options, x.indisvalid AS valid,
       obj_description(i.oid, 'pg_class') AS comment
     FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_am AS am ON am.oid = i.relam
     WHERE x.indrelid = 'success_patterns'::regclass AND i.relname LIKE 'idx_pattern_embedding%'
     ORDER BY 1`,
  );
  return rows;
}

async function openForTest(test: TestDatabase): Promise<Database> {
  const database = await openConsole(test.url);
  onTestFinished(() => database.close());
  return database;
}

const comment = 'the patterns nearest to a prompt: find_similar_patterns';

describe('rebuilding a vector index', () => {
  it('mends one that was built empty, and shows the recall before and after', async () => {
    const test = await createTestDatabase();
    // Wide clusters: lists that were chosen blindly tear them apart, and miss neighbours for certain.
    await addPatterns(test, 1_500, 0.8);
    const database = await openConsole(test.url);
    const context = { database, signal: new AbortController().signal };
    const preview = await previewAction('reindex', context, { vectors: true });
    expect(preview.warnings).toContain(
      `${index} was built on an almost empty table: it misses neighbours until this is done.`,
    );
    expect(preview.warnings.join()).toContain('idx_routing_embedding built now has random lists');
    const { outcome } = await collect(runAction('reindex', context, { indexes: [index] }));
    const [rebuilt] = outcome.result.rebuilt;
    const { recallBefore, recallAfter } = rebuilt?.vector ?? {};
    expect(recallAfter?.recall).toBeGreaterThanOrEqual(0.98);
    expect(recallAfter?.recall).toBeGreaterThan(recallBefore?.recall ?? 1);
    expect(outcome.summary).toMatch(
      /100 lists before, 1 list now; recall@10 0\.\d+ before, [01]\.\d+ now/,
    );
    expect(await patternIndexes(test)).toEqual([
      { name: index, method: 'ivfflat', options: '{lists=1}', valid: true, comment },
    ]);
    await database.close();
  });

  it('of few rows finds every neighbour then, and doctor and the pane say no more of its lists', async () => {
    const test = await createTestDatabase();
    await addPatterns(test, 200, 6);
    // Trained on its rows, and still with lists for many more of them.
    await test.query(`REINDEX INDEX ${index}`);
    const database = await openForTest(test);
    const context = { database, signal: new AbortController().signal };
    const said = async () => ({
      doctor: (await diagnose(test.url, vectorLists)).evidence,
      pane: (await readFresh(database, indexUsage)).rows.find((row) => row.index === index)?.advice,
    });
    expect(await said()).toMatchObject({
      doctor: `${index} has 100 lists for about 200 rows; 1 would fit.`,
      pane: '100 lists, 1 recommended',
    });
    const { outcome } = await collect(runAction('reindex', context, { indexes: [index] }));
    const { recallBefore, recallAfter } = outcome.result.rebuilt[0]?.vector ?? {};
    expect(recallBefore?.recall).toBeLessThan(0.9);
    expect(recallAfter?.recall).toBe(1);
    const { doctor, pane } = await said();
    expect(doctor).toContain('lists fit the rows');
    // What it says of its use hangs on the counters.
    expect(pane ?? '').not.toContain('lists');
  });

  it.each<[string, ReindexInput, object]>([
    ['with more lists', { lists: 150 }, { method: 'ivfflat', options: '{lists=150}' }],
    ['as hnsw', { method: 'hnsw' }, { method: 'hnsw', options: null }],
  ])('%s puts another index in its place, under its name', async (_, wish, expected) => {
    const test = await createTestDatabase();
    // As good as no clusters.
    await addPatterns(test, 600, 6);
    const database = await openConsole(test.url);
    const context = { database, signal: new AbortController().signal };
    const input = { indexes: [index], ...wish };
    const { sql } = await previewAction('reindex', context, input);
    expect(sql).toHaveLength(3);
    const { outcome } = await collect(runAction('reindex', context, input));
    expect(outcome.result.rebuilt[0]).toMatchObject({ index, vector: { listsBefore: 100 } });
    expect(outcome.summary.includes('--method hnsw')).toBe(wish.method !== 'hnsw');
    expect(await patternIndexes(test)).toEqual([
      { name: index, ...expected, valid: true, comment },
    ]);
    expect((await verifySchema(database)).ok).toBe(true);
    await database.close();
  });

  it('is one console’s at a time: the second says who does it, and cleans nothing up under its hands', async () => {
    const test = await createTestDatabase();
    await addPatterns(test, 200);
    const first = await openForTest(test);
    const second = await openForTest(test);
    const { signal } = new AbortController();
    const input = { indexes: [index], lists: 20, recall: false };
    const holder = await holdTable(test, 'success_patterns');
    const replacing = collect(runAction('reindex', { database: first, signal }, input));
    const building = 'waiting for writers before build';
    await expect.poll(() => phaseOf(test), { timeout: 50_000 }).toBe(building);
    const busy = {
      code: 'busy',
      message: expect.stringMatching(
        new RegExp(
          `^${index} is being rebuilt by postgres \\(.*\\) since .* \\(run 1, pid \\d+\\)\\.$`,
        ),
      ) as string,
    };
    const other = { database: second, signal };
    await expect(previewAction('reindex', other, input)).rejects.toMatchObject(busy);
    await expect(collect(runAction('reindex', other, { vectors: true }))).rejects.toMatchObject(
      busy,
    );

    // Built, and not yet swapped: somebody has the index, so that it cannot be renamed.
    const owner = await test.pool.connect();
    await owner.query(`BEGIN; COMMENT ON INDEX ${index} IS '${comment}'`);
    await holder.end();
    const isWaiting = `SELECT FROM pg_stat_activity WHERE datname = current_database()
      AND query LIKE 'ALTER INDEX%' AND wait_event_type = 'Lock'`;
    const waiting = async () => (await test.query(isWaiting)).rows.length;
    await expect.poll(waiting, { timeout: 50_000 }).toBe(1);
    expect(await patternIndexes(test)).toMatchObject([{ valid: true }, { valid: true }]);
    expect((await previewAction('clean-up', other, {})).nothing).toBeDefined();
    await expect(collect(runAction('reindex', other, input))).rejects.toMatchObject(busy);
    await owner.query('ROLLBACK');
    owner.release();
    const { outcome } = await replacing;
    expect(outcome.result.rebuilt[0]).toMatchObject({ vector: { listsAfter: 20 } });
    expect(await patternIndexes(test)).toMatchObject([{ name: index, options: '{lists=20}' }]);
  });

  it('and of many that begin at the same moment each one has done it or named who does', async () => {
    const test = await createTestDatabase();
    await addPatterns(test, 200);
    const consoles = await Promise.all(Array.from({ length: 4 }, () => openForTest(test)));
    const { signal } = new AbortController();
    const ends = await Promise.allSettled(
      consoles.map((database, n) => {
        const input = { indexes: [index], lists: 20 + n, recall: false };
        return collect(runAction('reindex', { database, signal }, input));
      }),
    );
    const done = ends.filter(({ status }) => status === 'fulfilled');
    expect(done.length).toBeGreaterThan(0);
    for (const end of ends) {
      if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'busy' });
    }
    expect(await patternIndexes(test)).toMatchObject([{ name: index, valid: true, comment }]);
  });
});
