import type { TestDatabase } from '../../helpers/database.js';

/**
 * Patterns whose embeddings lie in clusters: 40 directions in 48 dimensions, the rest of the 1536 as good as
 * zero, so that thousands are made in a second.
 *
 * @param spread of a cluster, beside 1 for that of the directions
 */
export async function addPatterns(test: TestDatabase, count: number, spread = 0.3): Promise<void> {
  await test.query(
    `WITH centre AS MATERIALIZED (
       SELECT c, (SELECT array_agg(random() - 0.5) FROM generate_series(1, 48 + 0 * c)) AS numbers
       FROM generate_series(0, 39) AS c
     )
     INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
     SELECT 'pattern ' || n, 'intent ' || c,
       ((SELECT array_agg(x + $2::float8 * (random() - 0.5)) FROM unnest(numbers) AS x WHERE n > 0)
         || array_fill(0.0001, ARRAY[1488]))::real[]::vector
     FROM generate_series(1, $1::int) AS n JOIN centre ON c = n % 40`,
    [count, spread],
  );
  // Counters that a session still holds are added to what ANALYZE counts, up to a second later: 200 rows read as 400.
  await test.query('SELECT pg_stat_force_next_flush()');
  await test.query('ANALYZE success_patterns');
}
