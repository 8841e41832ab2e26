import { beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

let db: TestDatabase;

/** Unit vector along one axis, tilted towards another: cosine similarity to the first axis is cos(tilt). */
const axis = (towards: number, tilt: number): string =>
  `(SELECT array_agg(CASE n WHEN 1 THEN cos(${tilt}) WHEN ${towards} THEN sin(${tilt}) ELSE 0 END ORDER BY n)
    FROM generate_series(1, 1536) AS n)::vector`;

describe('with few patterns', () => {
  beforeAll(async () => {
    db = await createTestDatabase();
    await db.query(`
      INSERT INTO success_patterns (pattern_hash, intent_classification, is_active, prompt_embedding, agent_sequence) VALUES
        ('same', 'i', true, ${axis(2, 0)}, '{planner,coder}'),
        ('near', 'i', true, ${axis(3, 0.3)}, '{}'),
        ('inactive', 'i', false, ${axis(4, 0.1)}, '{}'),
        ('far', 'i', true, ${axis(5, 1.2)}, '{}'),
        ('opposite', 'i', true, ${axis(6, 3.1)}, '{}'),
        ('without an embedding', 'i', true, NULL, '{}')`);
  });

  async function find(args = ''): Promise<[string, number][]> {
    const { rows } = await db.query<{ pattern_hash: string; similarity: number }>(
      `SELECT pattern_hash, similarity FROM find_similar_patterns(${axis(2, 0)}${args})`,
    );
    return rows.map(({ pattern_hash, similarity }) => [
      pattern_hash,
      Number(similarity.toFixed(4)),
    ]);
  }

  test('returns the active ones over the threshold, nearest first', async () => {
    expect(await find()).toEqual([
      ['same', 1],
      ['near', 0.9553],
    ]);
  });

  test('threshold and count are parameters', async () => {
    expect(await find(', -1')).toEqual([
      ['same', 1],
      ['near', 0.9553],
      ['far', 0.3624],
      ['opposite', -0.9991],
    ]);
    expect(await find(', match_count => 1')).toEqual([['same', 1]]);
    expect(await find(', match_count => 0')).toEqual([]);
  });

  test('an embedding of zeros matches nothing, and nothing matches it, at any threshold', async () => {
    await db.query(`INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
      VALUES ('zeros', 'i', array_fill(0::real, ARRAY[1536])::vector)`);
    expect((await find(', -1, 100')).map(([hash]) => hash)).not.toContain('zeros');
    const { rows } = await db.query(
      `SELECT * FROM find_similar_patterns(array_fill(0::real, ARRAY[1536])::vector, -1, 100)`,
    );
    expect(rows).toEqual([]);
    await db.query(`DELETE FROM success_patterns WHERE pattern_hash = 'zeros'`);
  });

  test('embeddings of different models are never compared', async () => {
    await db.query(`INSERT INTO success_patterns (pattern_hash, intent_classification, embedding_model, prompt_embedding)
      VALUES ('of another', 'i', 'other-model', ${axis(7, 0.2)}), ('of another, far', 'i', 'other-model', ${axis(8, 1.1)})`);
    // The nearest one has no model named: so is the whole answer.
    expect(await find()).toEqual([
      ['same', 1],
      ['near', 0.9553],
    ]);
    expect(await find(`, -1, 2, 'other-model'`)).toEqual([
      ['of another', 0.9801],
      ['of another, far', 0.4536],
    ]);
    expect(await find(`, -1, 10, 'no such model'`)).toEqual([]);
    await db.query(`DELETE FROM success_patterns WHERE embedding_model = 'other-model'`);
  });

  test('a NULL embedding has no neighbours, one of another size is an error', async () => {
    const { rows } = await db.query('SELECT * FROM find_similar_patterns(NULL)');
    expect(rows).toEqual([]);
    await expect(db.query(`SELECT * FROM find_similar_patterns('[1,2,3]')`)).rejects.toThrow(
      'different vector dimensions 1536 and 3',
    );
  });
});

describe('with an index over clustered embeddings', () => {
  const settings = [
    'ivfflat.probes',
    'ivfflat.iterative_scan',
    'hnsw.ef_search',
    'hnsw.iterative_scan',
    'enable_indexscan',
  ];

  beforeAll(async () => {
    db = await createTestDatabase();
    // 60 clusters of 50; each embedding is its cluster's centre plus two of 60 noises. Every third is inactive.
    await db.query(`
      CREATE TABLE pool AS SELECT k, (SELECT array_agg(random() - 0.5) FROM generate_series(1, 1536) WHERE k > 0)::vector AS v
        FROM (SELECT setseed(0.5)) AS seed, generate_series(1, 120) AS k;
      CREATE FUNCTION embedding(cluster int, a int, b int) RETURNS vector LANGUAGE sql AS $$
        SELECT c.v + n.v * array_fill(0.4::real, ARRAY[1536])::vector + m.v * array_fill(0.4::real, ARRAY[1536])::vector
        FROM pool c, pool n, pool m WHERE c.k = 1 + cluster AND n.k = 61 + a AND m.k = 61 + b $$;
      INSERT INTO success_patterns (pattern_hash, intent_classification, is_active, prompt_embedding)
        SELECT 'p' || i, 'i', i / 60 % 3 > 0, embedding(i % 60, i / 60, (i / 60 * 17 + i) % 60) FROM generate_series(1, 3000) AS i;
      CREATE TABLE prompt AS SELECT q, embedding(q * 3 % 60, 50 + q % 10, q * 29 % 60) AS v FROM generate_series(1, 20) AS q;
      REINDEX INDEX idx_pattern_embedding; ANALYZE`);
  });

  const nearest = `SELECT id FROM success_patterns WHERE is_active AND prompt_embedding IS NOT NULL
                   ORDER BY prompt_embedding <=> q.v LIMIT 10`;

  /** The share of the ten exact neighbours that the function returns. */
  async function recall(): Promise<number> {
    const client = await db.pool.connect();
    try {
      await client.query('BEGIN');
      await client.query(
        `CREATE TEMPORARY TABLE answer ON COMMIT DROP AS
         SELECT q.q, s.id FROM prompt q, find_similar_patterns(q.v, -1) s`,
      );
      await client.query('SET LOCAL enable_indexscan = off');
      const { rows } = await client.query<{ recall: number }>(
        `SELECT avg((e.id IN (SELECT id FROM answer a WHERE a.q = q.q))::int)::float AS recall
         FROM prompt q, LATERAL (${nearest}) e`,
      );
      return rows[0]?.recall ?? 0;
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  }

  async function scans(): Promise<number> {
    const { rows } = await db.query<{ scans: number }>(
      `SELECT idx_scan::int AS scans FROM pg_stat_user_indexes WHERE indexrelname = 'idx_pattern_embedding'`,
    );
    return rows[0]?.scans ?? 0;
  }

  test('recall@10 is at least 0.98 through the index, inactive patterns or not', async () => {
    const before = await scans();
    expect(await recall()).toBeGreaterThanOrEqual(0.98);
    await expect.poll(scans, { timeout: 50_000 }).toBe(before + 20);
  });

  test('more than the probes would give are found when they are asked for', async () => {
    const { rows } = await db.query(
      'SELECT s.id FROM prompt, find_similar_patterns(v, -1, 500) s WHERE q = 1',
    );
    expect(rows).toHaveLength(500);
  });

  test('the settings are as before after the call, and a higher one of the caller stays', async () => {
    const client = await db.pool.connect();
    const show = `SELECT ARRAY(SELECT current_setting(name) FROM unnest($1::text[]) AS name) AS now`;
    try {
      await client.query('BEGIN');
      const call = 'SELECT count(*) FROM prompt, find_similar_patterns(v) WHERE q = 1';
      await client.query(call);
      expect((await client.query(show, [settings])).rows).toEqual([
        { now: ['1', 'off', '40', 'off', 'on'] },
      ]);
      await client.query(`SET LOCAL ivfflat.probes = 42`);
      await client.query(call);
      expect((await client.query(show, [settings])).rows).toEqual([
        { now: ['42', 'off', '40', 'off', 'on'] },
      ]);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  test('with hnsw in its place the answer is as good', async () => {
    await db.query(`
      SET maintenance_work_mem = '256MB';
      DROP INDEX idx_pattern_embedding;
      CREATE INDEX idx_pattern_embedding ON success_patterns USING hnsw (prompt_embedding vector_cosine_ops);
      RESET maintenance_work_mem`);
    expect(await recall()).toBeGreaterThanOrEqual(0.98);
  });
});
