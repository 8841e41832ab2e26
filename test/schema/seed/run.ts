import type pg from 'pg';

type Queryable = { query(sql: string): Promise<unknown> };

/** Runs a block of statements in one go and returns the result of each. */
export async function runBlock(database: Queryable, sql: string): Promise<pg.QueryResult[]> {
  const result = (await database.query(sql)) as pg.QueryResult | pg.QueryResult[];
  return Array.isArray(result) ? result : [result];
}
