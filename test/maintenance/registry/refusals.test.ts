import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import { ConsoleError, exitCodes, type ErrorCode } from '../../../src/db/errors.js';
import {
  actions,
  previewAction,
  runAction,
  type ActionName,
} from '../../../src/maintenance/registry.js';
import { recommendedPolicy, writePolicy } from '../../../src/maintenance/retention/policy.js';
import { coreTables } from '../../../src/core/tables.js';
import { openConsole } from '../../deploy/helpers.js';
import { startPgbouncer, type Pgbouncer } from '../../helpers/pgbouncer.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';
import { runOnce } from '../../helpers/template.js';
import { collect } from '../helpers.js';
import { expectations, places, type Place } from './expectations.js';
import { somethingToDo, stateOf } from './something-to-do.js';

// Roles and a standby need a server of the file's own.
let primary: PrivateServer;
let standby: PrivateServer;
let pooler: Pgbouncer;
let copies = 0;

const names = Object.keys(actions) as ActionName[];

beforeAll(async () => {
  primary = await startPrivateServer({ settings: { autovacuum: 'off', max_connections: 40 } });
  const url = await primary.createDatabase('full');
  await runOnce(url, somethingToDo);
  const owner = await openConsole(url);
  await owner.transaction({}, (tx) => writePolicy(tx, 'public', recommendedPolicy));
  const context = { database: owner, signal: new AbortController().signal };
  await collect(runAction('materialize', context, { views: ['agent_performance'] }));
  await owner.close();
  await runOnce(
    url,
    `CREATE ROLE guest LOGIN PASSWORD 'g'; CREATE ROLE filtered LOGIN PASSWORD 'g';
     GRANT USAGE ON SCHEMA public TO guest, filtered;
     GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest, filtered`,
  );
  await runOnce(primary.adminUrl, 'CREATE DATABASE protected TEMPLATE "full"');
  await runOnce(primary.adminUrl, 'CREATE DATABASE pooled TEMPLATE "full"');
  await runOnce(
    primary.url('protected'),
    `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO filtered;
     ${coreTables
       .map(
         (table) => `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
           CREATE POLICY own ON ${table} TO filtered USING (created_at > now())`,
       )
       .join(';')}`,
  );
  pooler = await startPgbouncer(primary);
});

afterAll(async () => {
  await pooler.stop();
  await primary.remove();
});

/** A copy of the filled database, for what may change it. */
async function copyOf(name: string): Promise<string> {
  copies += 1;
  const copy = `copy_${copies}`;
  await runOnce(primary.adminUrl, `CREATE DATABASE ${copy} TEMPLATE "${name}"`);
  return copy;
}

function as(role: string, url: string): string {
  const address = new URL(url);
  address.username = role;
  address.password = 'g';
  return address.href;
}

/** Opens the console there; `url` is where an administrator sees what it did. */
async function openAt(
  name: ActionName,
  place: Place,
): Promise<{ database: Database; url: string }> {
  switch (place) {
    case 'read-only':
      return {
        database: await openConsole(primary.url('full'), { readOnly: true }),
        url: primary.url('full'),
      };
    case 'no-owner': {
      const runs = expectations[name].refused[place] === 'runs';
      const url = primary.url(runs ? await copyOf('full') : 'full');
      return { database: await openConsole(as('guest', url)), url };
    }
    case 'filtered':
      return {
        database: await openConsole(as('filtered', primary.url('protected'))),
        url: primary.url('protected'),
      };
    case 'standby':
      return { database: await openConsole(standby.url('full')), url: primary.url('full') };
    case 'pooler': {
      const runs = expectations[name].refused[place] === 'runs';
      // The pooler keeps connections open, and what has some cannot be copied.
      const copy = runs ? await copyOf('full') : 'pooled';
      return { database: await openConsole(pooler.url(copy)), url: primary.url(copy) };
    }
  }
}

function expectedCode(name: ActionName, place: Place): ErrorCode | 'runs' {
  if (place === 'read-only') return 'read_only';
  return place === 'standby' ? 'standby' : expectations[name].refused[place];
}

/** The one cast of this test: an action's own input belongs to its own name. */
function start(name: ActionName, database: Database) {
  const context = { database, signal: new AbortController().signal };
  const input = expectations[name].input as never;
  return {
    preview: () => previewAction(name, context, input),
    run: () => collect(runAction(name, context, input)),
  };
}

/** It is refused there with the code that is expected, says why, and changes nothing; or it runs. */
async function expectAt(name: ActionName, place: Place): Promise<void> {
  const { database, url } = await openAt(name, place);
  try {
    const code = expectedCode(name, place);
    const before = await stateOf(url);
    const { preview, run } = start(name, database);
    if (code === 'runs') {
      await preview();
      expect((await run()).outcome.cancelled).toBe(false);
      return;
    }
    const error: unknown = await run().then(
      () => undefined,
      (failure: unknown) => failure,
    );
    if (!(error instanceof ConsoleError))
      throw new Error(`${name} was not refused: ${String(error)}`);
    expect(error.code, error.message).toBe(code);
    expect(error.exitCode).toBe(exitCodes.refused);
    // The reason, and what would allow it.
    expect(error.message.length).toBeGreaterThan(20);
    expect(error.hint).toMatch(/^[A-Z].{15,}/);
    expect(await stateOf(url)).toEqual(before);
  } finally {
    await database.close();
  }
}

// The first, and gone before anything is copied: it would do all of that again.
describe('on a standby', () => {
  beforeAll(async () => {
    standby = await primary.basebackupStandby();
  });
  afterAll(() => standby.remove());

  it.each(names)('%s', (name) => expectAt(name, 'standby'));
});

describe.each(names)('%s', (name) => {
  it.each(places.filter((place) => place !== 'standby'))('%s', (place) => expectAt(name, place));

  it('runs for the owner on a primary, where it has something to do', async () => {
    if (expectations[name].idle) return;
    const copy = await copyOf('full');
    const database = await openConsole(primary.url(copy));
    try {
      const before = await stateOf(primary.url(copy));
      const { preview, run } = start(name, database);
      expect((await preview()).nothing).toBeUndefined();
      expect((await run()).outcome.cancelled).toBe(false);
      const journal = (line: string) => !line.includes('trace_console.maintenance_runs');
      expect((await stateOf(primary.url(copy))).filter(journal)).not.toEqual(
        before.filter(journal),
      );
    } finally {
      await database.close();
    }
  });
});
