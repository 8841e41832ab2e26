import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createTestDatabase } from './database.js';
import { startPrivateServer } from './private-server.js';
import { provision, wantedMajor } from './provision.js';
import { testServer } from './server.js';
import { resolveServerSource, startSharedServer } from './shared-server.js';
import { databaseUrl, runOnce } from './template.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'programs-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Puts programs of these names, each a shell script, in the place of those of the machine. */
function stubPrograms(programs: Record<string, string>): void {
  const folder = scratchFolder();
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  vi.stubEnv('PATH', folder);
}

describe('the server comes from', () => {
  const url = 'postgres://somewhere/db';

  test('TEST_DATABASE_URL, even where a container engine answers', async () => {
    stubPrograms({ docker: 'exit 0' });
    expect(await resolveServerSource({ TEST_DATABASE_URL: url })).toEqual({ kind: 'url', url });
  });

  test('docker, then podman, when they answer', async () => {
    stubPrograms({ docker: 'exit 0', podman: 'exit 0' });
    expect(await resolveServerSource({})).toEqual({ kind: 'container', engine: 'docker' });
    stubPrograms({ docker: 'echo "Cannot connect" >&2; exit 1', podman: 'exit 0' });
    expect(await resolveServerSource({ TEST_DATABASE_URL: '' })).toEqual({
      kind: 'container',
      engine: 'podman',
    });
  });

  test('packages, when a container engine is installed but its daemon does not answer', async () => {
    stubPrograms({ docker: 'echo "Cannot connect to the daemon" >&2; exit 1' });
    expect(await resolveServerSource({})).toEqual({ kind: 'packages' });
  });

  test('packages, when there is no container engine', async () => {
    stubPrograms({});
    expect(await resolveServerSource({})).toEqual({ kind: 'packages' });
  });
});

describe('a server that cannot be used is refused with what to do', () => {
  const { owner, adminUrl, major } = testServer();

  test('TEST_DATABASE_URL that nobody answers', async () => {
    const env = { TEST_DATABASE_URL: 'postgres://postgres@127.0.0.1:1/postgres' };
    await expect(startSharedServer(owner, env)).rejects.toThrow(/does not answer; hint: check/);
  });

  test('another major version than TRACE_CONSOLE_TEST_PG asks for', async () => {
    const env = { TEST_DATABASE_URL: adminUrl, TRACE_CONSOLE_TEST_PG: major === 17 ? '18' : '17' };
    await expect(startSharedServer(owner, env)).rejects.toThrow(/asks for PostgreSQL/);
  });

  test('a role that is no superuser', async () => {
    const server = await startPrivateServer();
    await runOnce(server.adminUrl, `CREATE ROLE plain LOGIN PASSWORD 'plain'`);
    const url = new URL(server.adminUrl);
    url.username = url.password = 'plain';
    const env = { TEST_DATABASE_URL: url.href };
    await expect(startSharedServer(owner, env)).rejects.toThrow(/must be a superuser/);
  });

  test('neither packages nor anything else', async () => {
    stubPrograms({ bash: 'exec /bin/bash "$@"' });
    await expect(provision()).rejects.toThrow(/cannot be used[^]*hint: set TEST_DATABASE_URL/);
  });
});

test('a server named by TEST_DATABASE_URL is used as it is and stays when the run ends', async () => {
  const { owner, adminUrl } = testServer();
  const { server, stop } = await startSharedServer(owner, { TEST_DATABASE_URL: adminUrl });
  expect(server).toMatchObject({ adminUrl, description: 'TEST_DATABASE_URL' });
  await stop();
  expect(await runOnce(adminUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a container gets our password, is asked where it listens, and is removed at the end', async () => {
  const { owner } = testServer();
  const behind = await startPrivateServer();
  const folder = scratchFolder();
  const sql = (password: string) => `ALTER ROLE postgres PASSWORD '${password}'`;
  const psql = `${behind.binaries.binDir}/psql -qX -h ${behind.socketFolder} -p ${behind.port} -U postgres`;
  const stale = `trace-console-test-${hostname()}-4194305-1`;
  const living = `trace-console-test-${hostname()}-${owner.pid}-${owner.startTime}`;
  // Answers as docker does. What it claims to run is a server of ours.
  stubPrograms({
    docker: [
      `echo "$*" >>${folder}/calls`,
      'case $1 in',
      `  ps) echo ${stale}; echo ${living}; echo foreign ;;`,
      `  run) for word; do case $word in POSTGRES_PASSWORD=*)`,
      `      ${psql} -c "${sql('${word#*=}')}" ;; esac; done; echo 0123abcd ;;`,
      `  port) echo 127.0.0.1:${behind.port} ;;`,
      'esac',
    ].join('\n'),
  });
  const { server, stop } = await startSharedServer(owner, {});
  expect(server).toMatchObject({ host: '127.0.0.1', port: behind.port });
  expect(server.description).toMatch(/^docker, image .*pgvector:pg17$/);
  expect(await runOnce(server.adminUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await stop();
  const calls = readFileSync(join(folder, 'calls'), 'utf8');
  expect(calls.match(/^rm .*$/gm)).toEqual([
    `rm --force --volumes ${stale}`,
    `rm --force --volumes ${living}`,
  ]);
});

test('the wanted major version is 17 unless TRACE_CONSOLE_TEST_PG names another', () => {
  expect(wantedMajor({})).toBe(17);
  expect(wantedMajor({ TRACE_CONSOLE_TEST_PG: '' })).toBe(17);
  expect(wantedMajor({ TRACE_CONSOLE_TEST_PG: '18' })).toBe(18);
  expect(wantedMajor({ TRACE_CONSOLE_TEST_PG: '15' })).toBe(15);
  expect(() => wantedMajor({ TRACE_CONSOLE_TEST_PG: '9.6' })).toThrow(/give 15, 16, 17 or 18/);
});

test('databases of this run are on the server that the run says it uses', async () => {
  const { adminUrl, version } = testServer();
  const database = await createTestDatabase({ schema: false });
  expect(database.url).toBe(databaseUrl(adminUrl, database.name));
  const { rows } = await database.query<{ server_version: string }>('SHOW server_version');
  expect(rows[0]?.server_version).toContain(version);
});
