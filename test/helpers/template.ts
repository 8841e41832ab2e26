import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

const schemaFolder = join(import.meta.dirname, '../../schema');

/** The schema files in their order, with their full paths. */
export function schemaFiles(): string[] {
  if (!existsSync(schemaFolder)) return [];
  return readdirSync(schemaFolder)
    .filter((name) => /^\d{3}_.*\.sql$/.test(name))
    .sort()
    .map((name) => join(schemaFolder, name));
}

/** Runs every schema file in order, each in a transaction of its own, as `psql -1 -f` does. */
export async function applySchemaFiles(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const file of schemaFiles()) {
      await client.query(readFileSync(file, 'utf8')).catch((error: unknown) => {
        throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
      });
    }
  } finally {
    await client.end();
  }
}

/** The URI of another database on the same server. */
export function databaseUrl(url: string, database: string): string {
  const result = new URL(url);
  result.pathname = `/${encodeURIComponent(database)}`;
  return result.href;
}

/** Runs one statement in a connection of its own. */
export async function runOnce<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  params: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql, params)).rows;
  } finally {
    await client.end();
  }
}
