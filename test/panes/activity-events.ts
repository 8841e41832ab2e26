import pg from 'pg';
import type { ActivityRow } from '../../src/panes/reading/activity-buffer.js';
import type { TestDatabase } from '../helpers/database.js';

export async function insertTrace(
  client: pg.Pool | pg.Client,
  startedAgo: string,
  status = 'completed',
) {
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, prompt_text)
     VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', $1, now() - $2::interval, 'a prompt')
     RETURNING id`,
    [status, startedAgo],
  );
  return rows[0]?.id ?? '';
}

export async function connect(database: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  return client;
}

export const ids = (rows: readonly ActivityRow[]) => rows.map(({ id }) => id);
