import { describe, expect, it } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import type { ActionContext, Fact, Progress } from '../../../src/maintenance/action.js';
import { previewAction, refusalOf, runAction } from '../../../src/maintenance/registry.js';
import { openConsole } from '../../deploy/helpers.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { startPgbouncer } from '../../helpers/pgbouncer.js';
import { startPrivateServer } from '../../helpers/private-server.js';
import { testServer } from '../../helpers/server.js';
import { collect } from '../helpers.js';

const index = 'idx_execution_traces_root';

async function indexes(test: TestDatabase): Promise<string[]> {
  const { rows } = await test.query<{ name: string }>(
    `SELECT i.relname || CASE WHEN x.indisvalid THEN '' ELSE ' invalid' END AS name
     FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
     WHERE x.indrelid = 'execution_traces'::regclass AND i.relname LIKE 'idx_execution_traces_root%'
     ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

function run(
  database: Awaited<ReturnType<typeof openConsole>>,
  signal = new AbortController().signal,
) {
  return runAction('reindex', { database, signal }, { indexes: [index] });
}

describe('rebuilding an index', () => {
  it('leaves a new, valid one of the same name', async () => {
    const test = await createTestDatabase();
    const fileOf = `SELECT pg_relation_filenode('${index}') AS file`;
    const before = (await test.query(fileOf)).rows;
    const database = await openConsole(test.url);
    const { outcome } = await collect(run(database));
    expect(outcome).toMatchObject({
      cancelled: false,
      result: { rebuilt: [{ index, dropped: [] }] },
    });
    expect(outcome.summary).toMatch(/^Rebuilt idx_execution_traces_root in [\d.]+ s: /);
    expect((await test.query(fileOf)).rows).not.toEqual(before);
    expect(await indexes(test)).toEqual([index]);
    await database.close();
  });

  it('names who is in the way with the statement, and cancelled it leaves nothing behind', async () => {
    const test = await createTestDatabase();
    const database = await openConsole(test.url);
    const writer = await test.pool.connect();
    await writer.query('BEGIN');
    await writer.query('LOCK TABLE execution_traces IN ROW EXCLUSIVE MODE');
    const cancel = new AbortController();
    const seen: Progress[] = [];
    const rebuilding = collect(run(database, cancel.signal), (progress) => {
      seen.push(progress);
      if (progress.blockedBy) cancel.abort();
    });
    await expect
      .poll(
        async () => {
          const { rows } = await test.query(
            `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY%'
               AND datname = current_database()`,
          );
          return rows.length;
        },
        { timeout: 10_000 },
      )
      .toBe(1);
    // What the rebuild left can be dropped only when nobody holds the table.
    await writer.query('ROLLBACK');
    writer.release();
    const { outcome } = await rebuilding;
    expect(outcome.cancelled).toBe(true);
    expect(seen.find(({ blockedBy }) => blockedBy)?.blockedBy).toContain(
      'LOCK TABLE execution_traces',
    );
    expect(await indexes(test)).toEqual([index]);
    await database.close();
  });

  it('drops the leftovers of an earlier attempt first, and only those', async () => {
    const test = await createTestDatabase();
    // A healthy index of such a name is somebody's own; an invalid one is a leftover.
    await test.query(`CREATE INDEX ${index}_ccnew ON execution_traces (root_id)`);
    await test.query(`CREATE INDEX ${index}_ccnew1 ON execution_traces (root_id)`);
    await test.query(
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${index}_ccnew1'::regclass`,
    );
    const database = await openConsole(test.url);
    const context = { database, signal: new AbortController().signal };
    const preview = await previewAction('reindex', context, { indexes: [index] });
    expect(preview.facts).toContainEqual({
      label: 'Dropped first',
      value: `leftovers ${index}_ccnew1`,
    });
    const { outcome } = await collect(run(database));
    expect(outcome.result.rebuilt[0]?.dropped).toEqual([`${index}_ccnew1`]);
    expect(await indexes(test)).toEqual([index, `${index}_ccnew`]);
    await database.close();
  });

  it('is previewed with the very statement, and an unknown index is refused', async () => {
    const test = await createTestDatabase();
    const database = await openConsole(test.url);
    const context = { database, signal: new AbortController().signal };
    const { warnings, sql } = await previewAction('reindex', context, { indexes: [index] });
    expect(warnings).toEqual([]);
    expect(sql).toEqual([`REINDEX INDEX CONCURRENTLY "public"."${index}"`]);
    const disk = await diskFact(context);
    expect(disk.value).toMatch(
      /^about .* more while it runs, and as much WAL; what is free is not known here$/,
    );
    // A stand-in for the extension system_stats, which Debian does not have: its name and its function.
    await test.query(
      `CREATE FUNCTION pg_sys_disk_info(OUT mount_point text, OUT total_space bigint, OUT free_space bigint)
         RETURNS SETOF record LANGUAGE sql AS $$ VALUES ('/', 1000000::bigint, 9000::bigint) $$;
       INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
       VALUES (99999, 'system_stats', 10, 'public'::regnamespace, false, '3.0')`,
    );
    const known = await previewAction('reindex', context, { indexes: [index] });
    expect((await diskFact(context)).value).toMatch(/; 8\.8 kB are free$/);
    expect(known.warnings.join()).toMatch(/^The disk has 8\.8 kB free, and this may need 16 kB/);
    await expect(
      previewAction('reindex', context, { indexes: ['no_such_index'] }),
    ).rejects.toMatchObject({ code: 'not_found' });
    await database.close();
  });
});

async function diskFact(context: ActionContext): Promise<Fact> {
  const { facts } = await previewAction('reindex', context, { indexes: [index] });
  const fact = facts.find(({ label }) => label === 'Disk needed');
  if (!fact) throw new Error('nothing is told of the disk');
  return fact;
}

describe('every action is refused', () => {
  const refusals = (database: Database) => [
    refusalOf('reindex', database, { indexes: [index] }),
    refusalOf('archive', database, { olderThan: '90 days' }),
  ];

  it('under --read-only, and nothing runs past the guard', async () => {
    const test = await createTestDatabase();
    const database = await openConsole(test.url, { readOnly: true });
    for (const error of refusals(database)) {
      expect(error).toMatchObject({ code: 'read_only', exitCode: 4 });
    }
    await expect(collect(run(database))).rejects.toMatchObject({ code: 'read_only' });
    await database.close();
  });

  it('on a standby', async () => {
    const primary = await startPrivateServer();
    await primary.createDatabase('traces');
    const standby = await primary.basebackupStandby();
    const database = await openConsole(standby.url('traces'));
    for (const error of refusals(database)) expect(error).toMatchObject({ code: 'standby' });
    await database.close();
    await standby.stop();
    await primary.stop();
  });

  it('where the role lacks what the action needs, with what would allow it', async () => {
    const server = await startPrivateServer();
    const url = await server.createDatabase('traces');
    const admin = await openConsole(url);
    await admin.transaction({}, (tx) =>
      tx.query(`CREATE ROLE guest LOGIN PASSWORD 'g'; GRANT SELECT ON execution_traces TO guest;
        ALTER TABLE execution_traces ENABLE ROW LEVEL SECURITY`),
    );
    await admin.close();
    const asGuest = new URL(url);
    asGuest.username = 'guest';
    asGuest.password = 'g';
    const guest = await openConsole(asGuest.href);
    expect(refusalOf('reindex', guest, { indexes: [index] })).toMatchObject({
      code: 'privilege_missing',
      hint: expect.stringContaining('owner') as string,
    });
    expect(refusalOf('archive', guest, { olderThan: '90 days' })).toMatchObject({
      code: 'row_security',
    });
    await guest.close();
    await server.stop();
  });

  it('behind a transaction pooler, when it needs a session of its own', async () => {
    const test = await createTestDatabase();
    const pooler = await startPgbouncer(testServer());
    const database = await openConsole(pooler.url(test.name));
    expect(refusalOf('reindex', database, { indexes: [index] })).toMatchObject({
      code: 'pooled_connection',
    });
    expect(refusalOf('archive', database, { olderThan: '90 days' })).toBeUndefined();
    await database.close();
    await pooler.stop();
  });
});
