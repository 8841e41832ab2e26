import { beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { startPrivateServer } from '../helpers/private-server.js';
import { runOnce } from '../helpers/template.js';
import { countObjects, tables } from './counts.js';
import { printed } from './seed/blocks.js';
import { runBlock } from './seed/run.js';

// Roles belong to a whole server, so this one is the file's own.
let withRoles: string;
let withoutRoles: string;

beforeAll(async () => {
  const server = await startPrivateServer();
  withoutRoles = await server.createDatabase('plain');
  await runOnce(
    server.adminUrl,
    'CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN BYPASSRLS',
  );
  withRoles = await server.createDatabase('supabase');
});

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const protectedTables = (result: pg.QueryResult | undefined) =>
  (result?.rows as { tablename: string; rowsecurity: boolean }[])
    .filter(({ tablename, rowsecurity }) => rowsecurity && tables.includes(tablename))
    .map(({ tablename }) => tablename)
    .sort();

test("RLS as printed: every table is protected where Supabase's roles are, then the first is not", async () => {
  await connected(withRoles, async (client) => {
    expect(await countObjects(client)).toMatchObject({ tables: 8, policies: 16 });
    const block = printed('schema-readme/12-row-security.sql');
    const [status] = await runBlock(client, block);
    expect(protectedTables(status)).toEqual(tables);
    const [after] = await runBlock(client, block);
    expect(protectedTables(after)).toEqual(tables.filter((name) => name !== 'execution_traces'));

    // docs/troubleshooting.md switches it on again.
    await client.query('ALTER TABLE execution_traces ENABLE ROW LEVEL SECURITY');
    const [restored] = await runBlock(client, block);
    expect(protectedTables(restored)).toEqual(tables);
  });
});

test('without the roles the policies are skipped, and no table is protected', async () => {
  await connected(withoutRoles, async (client) => {
    expect(await countObjects(client)).toMatchObject({ tables: 8, policies: 0 });
    const [status] = await runBlock(client, printed('schema-readme/12-row-security.sql'));
    expect(protectedTables(status)).toEqual([]);
  });
});
