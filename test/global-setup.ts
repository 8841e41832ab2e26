import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { bundle } from '../scripts/bundle.mjs';
import { makeEmbeddedTemplate, removeSpareDatabases } from './helpers/embedded-database.js';
import { startCompiled } from './helpers/compiled.js';
import { testEngine } from './helpers/engine.js';
import { keepTemporaryFilesInMemory } from './helpers/memory-folder.js';
import {
  cleanStaleServers,
  currentOwner,
  removeServersOf,
  removeServersOfSync,
} from './helpers/server-folders.js';
import type {} from './helpers/server.js';
import { startSharedServer } from './helpers/shared-server.js';
import { applySchemaFiles, databaseUrl, runOnce, schemaFiles } from './helpers/template.js';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs once before all test files: the programs bundled as users get them, one server, and on it the database that
 * theirs are cloned from.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const forgetTemporaryFiles = keepTemporaryFilesInMemory();
  const home = isolateHome();
  const programs = join(
    import.meta.dirname,
    `../node_modules/.cache/trace-console/programs-${process.pid}`,
  );
  await bundle(programs);
  const warmUp = startCompiled(programs);
  await cleanStaleServers();
  const owner = currentOwner();
  const { server, stop, stopSync } = await startSharedServer(owner).catch(
    async (error: unknown) => {
      await removeServersOf(owner);
      throw error;
    },
  );

  const onExit = () => {
    stopSync();
    // The private servers of the test files.
    removeServersOfSync(owner);
    forgetTemporaryFiles();
  };
  const onSignal = (signal: NodeJS.Signals) => {
    onExit();
    process.off(signal, onSignal);
    process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  process.on('exit', onExit);

  // The time in the name lets a later run on the same TEST_DATABASE_URL know what a killed run left behind.
  const databasePrefix = `tc_test_${Math.floor(Date.now() / 1000).toString(36)}_${owner.pid}`;
  const template = `${databasePrefix}_template`;
  const teardown = async () => {
    for (const signal of signals) process.off(signal, onSignal);
    process.off('exit', onExit);
    await dropDatabases(server.adminUrl, (name) => name.startsWith(databasePrefix));
    await stop();
    await removeServersOf(owner);
    await removeSpareDatabases(programs);
    rmSync(programs, { recursive: true, force: true });
    rmSync(home, { recursive: true, force: true });
    forgetTemporaryFiles();
  };

  try {
    await dropDatabases(server.adminUrl, isOutdated);
    await runOnce(server.adminUrl, `CREATE DATABASE ${template} TEMPLATE template0`);
    await applySchemaFiles(databaseUrl(server.adminUrl, template));
    const warm = `${databasePrefix}_warm`;
    await runOnce(server.adminUrl, `CREATE DATABASE ${warm} TEMPLATE ${template}`);
    await warmUp(databaseUrl(server.adminUrl, warm));
    await runOnce(server.adminUrl, `DROP DATABASE ${warm} WITH (FORCE)`);
  } catch (error) {
    await teardown();
    throw error;
  }

  console.log(
    `PostgreSQL ${server.version} from ${server.description}, ${schemaFiles().length} schema files applied`,
  );
  project.provide('programs', programs);
  project.provide(
    'embeddedTemplate',
    testEngine === 'embedded' ? await makeEmbeddedTemplate(programs) : '',
  );
  project.provide('testServer', { ...server, owner, databasePrefix, template });
  return teardown;
}

/** What is in the home folder of whoever runs the tests, sessions of agents and settings, has no part in them. */
function isolateHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'trace-console-test-home-'));
  process.env.HOME = home;
  for (const name of Object.keys(process.env)) {
    if (/^(XDG_|PG(?!_)|CLAUDE_CONFIG_DIR$|CODEX_HOME$)/.test(name)) {
      Reflect.deleteProperty(process.env, name);
    }
  }
  return home;
}

/** A run's databases live for minutes; those of yesterday belong to nobody. */
function isOutdated(name: string): boolean {
  const seconds = parseInt(/^tc_test_([0-9a-z]+)_\d+_/.exec(name)?.[1] ?? '', 36);
  return Date.now() / 1000 - seconds > 24 * 3600;
}

async function dropDatabases(adminUrl: string, which: (name: string) => boolean): Promise<void> {
  const rows = await runOnce<{ datname: string }>(adminUrl, 'SELECT datname FROM pg_database');
  for (const { datname } of rows.filter((row) => which(row.datname))) {
    await runOnce(adminUrl, `DROP DATABASE IF EXISTS ${datname} WITH (FORCE)`);
  }
}
