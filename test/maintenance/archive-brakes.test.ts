import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { Brakes } from '../../src/maintenance/archive/archive-traces.js';
import { openConsole } from '../deploy/helpers.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { runOnce } from '../helpers/template.js';

// Lag and long transactions are seen by all of a server: one of the file's own.
let server: PrivateServer;
let url: string;
let database: Database;

beforeAll(async () => {
  server = await startPrivateServer();
  url = await server.createDatabase('traces');
  database = await openConsole(url);
});

afterAll(async () => {
  await database.close();
  await server.remove();
});

it('waits for a second after a batch for whose rows others waited', async () => {
  const brakes = new Brakes(database);
  expect(await brakes.look(1)).toEqual({
    reason: 'a session that waited for rows of the batch',
    pauseMs: 1_000,
  });
  expect((await brakes.look(3))?.reason).toContain('3 sessions');
  expect(await brakes.look(0)).toBeUndefined();
});

it('goes slower while a transaction stays open that keeps moved rows, and says whose', async () => {
  const brakes = new Brakes(database, { transactionMs: 20, askEveryMs: 0 });
  const other = await openConsole(url);
  await other.transaction({ isolation: 'REPEATABLE READ' }, async (tx) => {
    const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await expect
      .poll(() => brakes.look(0))
      .toEqual({
        reason: expect.stringMatching(
          new RegExp(`^pid ${rows[0]?.pid ?? 0}, in a transaction for .*cannot be cleared away$`),
        ) as string,
        pauseMs: 1_000,
      });
    // The usual limit is five minutes.
    expect(await new Brakes(database).look(0)).toBeUndefined();
  });
  await other.close();
  expect(await brakes.look(0)).toBeUndefined();
});

it('goes slower while a standby is behind, and asks no more often than it says', async () => {
  const standby = await server.basebackupStandby();
  const brakes = new Brakes(database, { lagBytes: 1_000, askEveryMs: 0 });
  await expect.poll(() => brakes.look(0), { timeout: 50_000 }).toBeUndefined();
  const rarely = new Brakes(database, { lagBytes: 1_000, askEveryMs: 600_000 });
  await rarely.look(0);
  await runOnce(standby.adminUrl, 'SELECT pg_wal_replay_pause()');
  await runOnce(url, 'CREATE TABLE filler AS SELECT n FROM generate_series(1, 10000) AS n');
  await expect
    .poll(() => brakes.look(0), { timeout: 50_000 })
    .toEqual({
      reason: expect.stringMatching(/^the standby .* behind$/) as string,
      pauseMs: 2_000,
    });
  expect(await rarely.look(0)).toBeUndefined();
  await standby.remove();
});
