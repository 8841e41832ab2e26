import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { applySchema } from '../../src/deploy/apply.js';
import { bundleSchema } from '../../src/deploy/schema-files.js';
import { verifySchema } from '../../src/deploy/compare.js';
import { fingerprint, openConsole } from '../deploy/helpers.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { psql } from '../helpers/psql.js';
import { runOnce, schemaFiles } from '../helpers/template.js';
import { countObjects } from './counts.js';
import { corrected, printed } from './seed/blocks.js';
import { bash, checkout } from './seed/shell.js';

const deployed = {
  tables: 8,
  indexes: 60,
  named_indexes: 48,
  views: 5,
  functions: 6,
  triggers: 8,
  policies: 0,
  extensions: 2,
};

const empty = () => createTestDatabase({ schema: false });

/** Verify is green, and an apply finds nothing to do and leaves every object as it is. */
async function expectComplete(database: TestDatabase): Promise<void> {
  const console = await openConsole(database.url);
  try {
    const { ok, objects, differences } = await verifySchema(console);
    expect(differences).toEqual([]);
    expect(ok).toBe(true);
    expect(
      Object.fromEntries(objects.map(({ component, deployed: count }) => [component, count])),
    ).toMatchObject({ tables: 8, indexes: 60, views: 5, functions: 6, triggers: 8, extensions: 2 });
    const before = await fingerprint(database);
    const { plan, applied, failed } = await applySchema(console);
    expect({ kind: plan.kind, applied, failed }).toEqual({
      kind: 'complete',
      applied: [],
      failed: [],
    });
    expect(await fingerprint(database)).toEqual(before);
  } finally {
    await console.close();
  }
}

test('prerequisites: the extension is "vector"; "pgvector" does not exist', async () => {
  const wrong = await empty();
  await expect(wrong.query(printed('schema-readme/01-extensions.sql'))).rejects.toThrow(
    'extension "pgvector" is not available',
  );
  const right = await empty();
  await right.query(corrected('schema-readme/01-extensions.sql'));
  await right.query(corrected('schema-readme/01-extensions.sql'));
  expect(await countObjects(right)).toMatchObject({ extensions: 2 });
});

test('file by file: the twelve commands as printed deploy the schema, the archive comes with 013 and the later files bring it forward', async () => {
  const database = await empty();
  // The address in the block is a placeholder.
  const commands = printed('schema-readme/03-deploy-with-psql.sh').replace(
    /^export DATABASE_URL=.*$/m,
    '',
  );
  const { stderr, exitCode } = await bash(commands, {
    cwd: `${checkout()}/schema`,
    env: { DATABASE_URL: database.url },
  });
  expect({ exitCode, errors: /ERROR|WARNING/.exec(stderr) }).toEqual({ exitCode: 0, errors: null });
  expect(await countObjects(database)).toEqual(deployed);

  await psql(database.url, { files: schemaFiles().slice(12) });
  await expectComplete(database);
});

test('file by file in a loop that stops at the first error, twice', async () => {
  const database = await empty();
  const loop = 'for f in schema/*.sql; do psql -v ON_ERROR_STOP=1 -f "$f" "$DATABASE_URL"; done';
  const options = { cwd: checkout(), env: { DATABASE_URL: database.url } };
  for (const run of ['first', 'second']) {
    const { stderr, exitCode } = await bash(loop, options);
    expect({ exitCode, errors: /ERROR|WARNING/.exec(stderr) }, run).toEqual({
      exitCode: 0,
      errors: null,
    });
  }
  expect(await countObjects(database)).toEqual(deployed);
  await expectComplete(database);
});

test('as one file: the folder has to be made first', async () => {
  const database = await empty();
  const options = { cwd: checkout(), env: { DATABASE_URL: database.url } };
  const wrong = await bash(printed('schema-readme/04-deploy-as-one-file.sh'), options);
  expect(wrong.exitCode).not.toBe(0);
  expect(wrong.stderr).toContain('migrations/001_traceability_schema.sql: No such file');
  expect(await countObjects(database)).toMatchObject({ tables: 0 });

  for (const run of ['first', 'second']) {
    const right = await bash(corrected('schema-readme/04-deploy-as-one-file.sh'), options);
    expect(right, run).toMatchObject({ exitCode: 0 });
  }
  await expectComplete(database);
});

test('schema bundle through psql, statement by statement and in one transaction, twice', async () => {
  const cwd = checkout();
  const bundle = await bash('trace-console schema bundle > bundle.sql', { cwd });
  expect(bundle).toMatchObject({ exitCode: 0 });
  for (const flags of ['', '--single-transaction']) {
    const database = await empty();
    const twice = `for run in first second; do psql -v ON_ERROR_STOP=1 ${flags} -f bundle.sql "$DATABASE_URL"; done`;
    const result = await bash(twice, { cwd, env: { DATABASE_URL: database.url } });
    expect(result, flags).toMatchObject({ exitCode: 0 });
    await expectComplete(database);
  }
}, 120_000);

test("Supabase: the migration deploys everything under Supabase's roles and schemas", async () => {
  const server = await startPrivateServer();
  await runOnce(
    server.adminUrl,
    `CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN BYPASSRLS;
     CREATE ROLE project LOGIN PASSWORD 'project' CREATEROLE BYPASSRLS;
     GRANT anon, authenticated, service_role TO project`,
  );
  await runOnce(server.adminUrl, 'CREATE DATABASE project OWNER project');
  await runOnce(
    server.url('project'),
    `CREATE SCHEMA extensions; CREATE EXTENSION "uuid-ossp" SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions;
     GRANT USAGE ON SCHEMA extensions TO PUBLIC; ALTER SCHEMA public OWNER TO project;
     ALTER ROLE project SET search_path = "$user", public, extensions`,
  );
  const url = new URL(server.url('project'));
  url.username = 'project';
  url.password = 'project';

  // npx stands for the CLI, which needs an account: "db push" runs each new migration in one transaction.
  const npx = `case "$*" in
    'supabase login' | 'supabase init' | 'supabase link --project-ref '*) ;;
    'supabase db push') for f in supabase/migrations/[0-9]*_*.sql; do
        psql -q -v ON_ERROR_STOP=1 --single-transaction -f "$f" "$DATABASE_URL"; done ;;
    *) echo "unknown command: $*" >&2; exit 1 ;;
  esac`;
  const { stderr, exitCode } = await bash(corrected('schema-readme/02-deploy-with-supabase.sh'), {
    cwd: checkout(),
    env: { DATABASE_URL: url.href },
    programs: { npx },
  });
  expect({ exitCode, errors: /ERROR|WARNING/.exec(stderr) }).toEqual({ exitCode: 0, errors: null });

  const console = await openConsole(url.href);
  try {
    const { ok, objects } = await verifySchema(console);
    expect(ok).toBe(true);
    expect(objects.find(({ component }) => component === 'policies')).toMatchObject({
      deployed: 16,
      status: 'ok',
    });
    const [archives] = await runOnce<{ n: string }>(
      url.href,
      `SELECT count(*) AS n FROM pg_policies WHERE tablename LIKE '%\\_archive'`,
    );
    expect(archives?.n).toBe('8');
    expect((await applySchema(console)).applied).toEqual([]);
  } finally {
    await console.close();
  }
}, 120_000);

test("reset: the printed commands, in the container's place a server, and the console's own", async () => {
  const server = await startPrivateServer();
  const url = await server.createDatabase('omninode_bridge');
  const insert = `INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'reset')`;
  await runOnce(url, insert);
  const cwd = checkout();
  const env = {
    DATABASE_URL: url,
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGPASSWORD: server.password,
  };
  // docker exec [-i] CONTAINER COMMAND…: the command runs where the database is.
  const docker = `shift; [ "$1" = -i ] && shift; [ "$1" = omninode-bridge-postgres ] || exit 1; shift; exec "$@"`;
  writeFileSync(join(cwd, 'consolidated_migration.sql'), bundleSchema());
  const asPrinted = await bash(printed('local-deployment/12-reset.sh'), {
    cwd,
    env,
    programs: { docker },
  });
  expect(asPrinted.stderr).not.toMatch(/ERROR/);
  expect(asPrinted.exitCode).toBe(0);
  await expectEmptyAndComplete(url);

  await runOnce(url, insert);
  const own = await bash(corrected('local-deployment/12-reset.sh'), { cwd, env });
  expect(own).toMatchObject({ exitCode: 0 });
  await expectEmptyAndComplete(url);
}, 120_000);

test('the printed reset leaves a database on which the console applies the schema again', async () => {
  const database = await createTestDatabase();
  const drop = /-c "(DROP TABLE [^"]+)"/.exec(printed('local-deployment/12-reset.sh'))?.[1] ?? '';
  await database.query(drop);
  expect(await countObjects(database)).toMatchObject({ tables: 0, views: 0, triggers: 0 });
  const console = await openConsole(database.url);
  try {
    const { plan, failed } = await applySchema(console);
    expect({ kind: plan.kind, failed }).toEqual({ kind: 'new', failed: [] });
  } finally {
    await console.close();
  }
  await expectComplete(database);
});

async function expectEmptyAndComplete(url: string): Promise<void> {
  const [row] = await runOnce<{ n: string }>(url, 'SELECT count(*) AS n FROM execution_traces');
  expect(row?.n).toBe('0');
  const console = await openConsole(url);
  try {
    expect(await verifySchema(console)).toMatchObject({ ok: true, differences: [] });
  } finally {
    await console.close();
  }
}
