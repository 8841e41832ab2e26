import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { applySchema } from '../../src/deploy/apply.js';
import { readLedger } from '../../src/deploy/console-schema.js';
import { schemaFiles } from '../../src/deploy/schema-files.js';
import { createTestDatabase } from '../helpers/database.js';
import { PostgresProcess } from '../helpers/postgres-process.js';
import { PrivateServer, startPrivateServer } from '../helpers/private-server.js';
import { provision, wantedMajor, type Binaries } from '../helpers/provision.js';
import { testServer } from '../helpers/server.js';
import { fingerprint, openConsole } from './helpers.js';

/** The server's programs without pgvector: a copy by hard links, which costs no space. */
async function withoutPgvector(): Promise<Binaries> {
  const original = await provision(wantedMajor());
  const root = `${original.root}-without-pgvector-${process.pid}`;
  execFileSync('cp', ['-al', original.root, root]);
  const share = join(root, 'usr/share/postgresql', String(original.major), 'extension');
  for (const file of readdirSync(share)) if (/^vector\b/.test(file)) rmSync(join(share, file));
  const moved = (path: string) => path.replace(original.root, root);
  return {
    ...original,
    root,
    binDir: moved(original.binDir),
    pgbouncer: moved(original.pgbouncer),
    openssl: moved(original.openssl),
  };
}

let copied: Binaries | undefined;
afterEach(() => {
  if (copied) rmSync(copied.root, { recursive: true, force: true });
  copied = undefined;
});

describe('a server without pgvector', () => {
  it('is told the package for its version and the image, and nothing is changed', async () => {
    copied = await withoutPgvector();
    const postgres = await PostgresProcess.create({ binaries: copied, owner: testServer().owner });
    const server = new PrivateServer(postgres);
    await server.start();
    const database = await openConsole(server.url());
    const major = copied.major;
    await expect(applySchema(database)).rejects.toMatchObject({
      code: 'extension_missing',
      exitCode: 1,
      hint: expect.stringMatching(
        new RegExp(`postgresql-${major}-pgvector.*pgvector/pgvector:pg${major}`),
      ) as string,
    });
    const connection = { query: (sql: string) => database.transaction({}, (tx) => tx.query(sql)) };
    expect(await fingerprint(connection)).toEqual([]);
    await database.close();
    await server.remove();
  });
});

describe('a role that lacks a privilege', () => {
  it('is told which, before anything is created', async () => {
    const server = await startPrivateServer();
    const url = await server.createDatabase('traces', { schema: false });
    const admin = await openConsole(url);
    await admin.transaction({}, (tx) =>
      tx.query(`CREATE ROLE guest LOGIN PASSWORD 'g'; CREATE SCHEMA mine AUTHORIZATION guest`),
    );
    const asGuest = new URL(url);
    asGuest.username = 'guest';
    asGuest.password = 'g';

    const outside = await openConsole(asGuest.href);
    await expect(applySchema(outside)).rejects.toMatchObject({
      code: 'privilege_missing',
      exitCode: 4,
      hint: expect.stringContaining('CREATE EXTENSION') as string,
    });
    await outside.close();

    // CREATE on the database is enough for a trusted extension, which Debian's pgvector is not.
    await admin.transaction({}, (tx) => tx.query('GRANT CREATE ON DATABASE traces TO guest'));
    const creator = await openConsole(asGuest.href);
    const trusted = creator.capabilities.availableExtensions.vector?.trusted;
    if (trusted === false) {
      await expect(applySchema(creator)).rejects.toMatchObject({ code: 'privilege_missing' });
    }
    await creator.close();
    await admin.transaction({}, (tx) => tx.query('REVOKE CREATE ON DATABASE traces FROM guest'));

    await admin.transaction({}, (tx) =>
      tx.query(`CREATE EXTENSION vector; CREATE EXTENSION "uuid-ossp"`),
    );
    const unwelcome = await openConsole(asGuest.href);
    await expect(applySchema(unwelcome)).rejects.toMatchObject({
      code: 'privilege_missing',
      hint: expect.stringContaining('GRANT USAGE, CREATE ON SCHEMA "public"') as string,
    });
    await unwelcome.close();

    // In a schema of its own it works, and without a ledger, since it may not create schemas.
    const own = await openConsole(asGuest.href, { schema: 'mine' });
    expect((await applySchema(own)).applied).toHaveLength(schemaFiles.length);
    await own.close();

    // Nor does the ledger's schema, made by another role, keep one from it that may create schemas.
    await admin.transaction({}, (tx) =>
      tx.query(`CREATE SCHEMA trace_console; CREATE SCHEMA second AUTHORIZATION guest;
        GRANT CREATE ON DATABASE traces TO guest`),
    );
    const second = await openConsole(asGuest.href, { schema: 'second' });
    expect((await applySchema(second)).applied).toHaveLength(schemaFiles.length);
    await second.close();

    // A ledger of another role that it may write is written, though it may not create schemas.
    await applySchema(admin);
    await admin.transaction({}, (tx) =>
      tx.query(`REVOKE CREATE ON DATABASE traces FROM guest; CREATE SCHEMA third AUTHORIZATION guest;
        GRANT USAGE ON SCHEMA trace_console TO guest;
        GRANT SELECT, INSERT, UPDATE ON trace_console.schema_files TO guest`),
    );
    const third = await openConsole(asGuest.href, { schema: 'third' });
    expect((await applySchema(third)).applied).toHaveLength(schemaFiles.length);
    await third.close();
    const ledger = await admin.transaction({}, (tx) => readLedger(tx, 'third'));
    expect(new Set(ledger.map(({ applied_by }) => applied_by))).toEqual(new Set(['guest']));
    await admin.close();
    await server.stop();
  });
});

describe('a standby', () => {
  it('is refused', async () => {
    const primary = await startPrivateServer();
    const standby = await primary.basebackupStandby();
    const database = await openConsole(standby.url());
    await expect(applySchema(database)).rejects.toMatchObject({ code: 'standby', exitCode: 4 });
    await database.close();
    await standby.stop();
    await primary.stop();
  });
});

describe('a pooler in transaction mode', () => {
  it('is good enough to apply the schema', async () => {
    const { startPgbouncer } = await import('../helpers/pgbouncer.js');
    const test = await createTestDatabase({ schema: false });
    const pooler = await startPgbouncer(testServer());
    const database = await openConsole(pooler.url(test.name));
    expect((await applySchema(database)).applied).toHaveLength(schemaFiles.length);
    await database.close();
    await pooler.stop();
  });
});
