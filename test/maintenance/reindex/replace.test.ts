import { describe, expect, it } from 'vitest';
import { verifySchema } from '../../../src/deploy/verify.js';
import { previewAction, runAction } from '../../../src/maintenance/registry.js';
import type { ReindexInput } from '../../../src/maintenance/reindex/reindex.js';
import { openConsole } from '../../deploy/helpers.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { collect } from '../helpers.js';
import { addPatterns } from './embeddings.js';

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

const comment = 'the patterns nearest to a prompt: find_similar_patterns';

describe('rebuilding a vector index', () => {
  it('mends one that was built empty, and shows the recall before and after', async () => {
    const test = await createTestDatabase();
    await addPatterns(test, 1_500);
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
    expect(outcome.summary).toMatch(/100 lists; recall@10 0\.\d+ before, [01]\.\d+ now/);
    expect(await patternIndexes(test)).toEqual([
      { name: index, method: 'ivfflat', options: '{lists=100}', valid: true, comment },
    ]);
    await database.close();
  });

  it.each<[string, ReindexInput, object]>([
    ['with more lists', { lists: 150 }, { method: 'ivfflat', options: '{lists=150}' }],
    ['as hnsw', { method: 'hnsw' }, { method: 'hnsw', options: null }],
  ])('%s puts another index in its place, under its name', async (_, wish, expected) => {
    const test = await createTestDatabase();
    await addPatterns(test, 600);
    const database = await openConsole(test.url);
    const context = { database, signal: new AbortController().signal };
    const input = { indexes: [index], ...wish };
    const { sql } = await previewAction('reindex', context, input);
    expect(sql).toHaveLength(3);
    const { outcome } = await collect(runAction('reindex', context, input));
    expect(outcome.result.rebuilt[0]).toMatchObject({ index, vector: { listsBefore: 100 } });
    expect(await patternIndexes(test)).toEqual([
      { name: index, ...expected, valid: true, comment },
    ]);
    expect((await verifySchema(database)).ok).toBe(true);
    await database.close();
  });
});
