import type { ChildProcess } from 'node:child_process';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import { invalidIndexes } from '../../../src/maintenance/doctor/checks/indexes.js';
import { previewAction, runAction } from '../../../src/maintenance/registry.js';
import { indexUsage } from '../../../src/panes/index-usage.js';
import { openConsole } from '../../deploy/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { readFresh } from '../../panes/open.js';
import { diagnose } from '../doctor/helpers.js';
import { collect } from '../helpers.js';
import { holdRebuild, index, phaseOf, phases, waitingPhases } from './rebuild-phases.js';

async function namesOf(test: TestDatabase, condition: string): Promise<string[]> {
  const { rows } = await test.query<{ name: string }>(
    `SELECT i.relname AS name FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
     WHERE i.relnamespace = 'public'::regnamespace AND ${condition} ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

const invalid = (test: TestDatabase) => namesOf(test, 'NOT x.indisvalid');
const healthy = (test: TestDatabase) => namesOf(test, 'x.indisvalid');

async function openOn(test: TestDatabase): Promise<Database> {
  const database = await openConsole(test.url);
  onTestFinished(() => database.close());
  return database;
}

const never = new AbortController().signal;

/** Doctor and the index pane show exactly this leftover, and the clean-up removes it and nothing else. */
async function expectFoundAndCleanedUp(test: TestDatabase, left: string): Promise<void> {
  expect(await invalid(test)).toEqual([left]);
  const untouched = await healthy(test);
  expect(untouched).toContain(index);
  const database = await openOn(test);
  const { rows, extras } = await readFresh(database, indexUsage);
  expect(rows.find((row) => row.index === left)).toMatchObject({ state: 'leftover' });
  expect(rows.find((row) => row.index === index)).toMatchObject({ state: 'valid' });
  expect(extras.invalid).toBe(1);
  const found = await diagnose(test.url, invalidIndexes);
  expect(found).toMatchObject({
    severity: 'warning',
    evidence: `1 index of a broken build: ${left}.`,
    command: 'trace-console reindex --clean-up',
  });
  const context = { database, signal: never };
  const { list } = await previewAction('clean-up', context, {});
  expect(list).toHaveLength(1);
  expect(list?.[0]).toContain(`${left}  `);
  const { outcome } = await collect(runAction('clean-up', context, {}));
  expect(outcome.result).toEqual({ dropped: [left], kept: [] });
  expect(await invalid(test)).toEqual([]);
  expect(await healthy(test)).toEqual(untouched);
  expect(await diagnose(test.url, invalidIndexes)).toMatchObject({ severity: 'good' });
}

describe('a rebuild is broken off', () => {
  it.each(phases)(
    'by a lost connection while %s: found, shown, cleaned up',
    async (phase, left) => {
      const test = await createTestDatabase();
      const database = await openOn(test);
      const held = await holdRebuild(test);
      const input = { indexes: [index], lockTimeoutMs: 60_000 };
      const running = collect(runAction('reindex', { database, signal: never }, input)).catch(
        (error: unknown) => error,
      );
      await held.until(phase);
      // Its tidying up waits for the same transaction, and is broken off as well.
      const killer = setInterval(() => {
        void test.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'trace-console maintenance'`,
        );
      }, 30);
      await running;
      clearInterval(killer);
      await held.release();
      await expectFoundAndCleanedUp(test, left);
    },
  );

  it.each(phases)('with its console killed while %s: the same', async (phase, left) => {
    const test = await createTestDatabase();
    // Otherwise the server goes on to the end without a client, and nothing is left.
    await test.query(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET client_connection_check_interval = 50', current_database()); END $$`,
    );
    const held = await holdRebuild(test);
    let child: ChildProcess | undefined;
    const ended = runCli(['reindex', index, '--yes', '--url', test.url], {
      onStart: (started) => (child = started),
    });
    await held.until(phase);
    child?.kill('SIGKILL');
    expect(await ended).toMatchObject({ signalled: 'SIGKILL' });
    await expect.poll(() => phaseOf(test), { timeout: 30_000, interval: 20 }).toBeUndefined();
    await held.release();
    await expectFoundAndCleanedUp(test, left);
  });

  it.each(phases)('by a cancel while %s: nothing is left', async (phase, left) => {
    const test = await createTestDatabase();
    const database = await openOn(test);
    const held = await holdRebuild(test);
    const cancel = new AbortController();
    const running = collect(
      runAction('reindex', { database, signal: cancel.signal }, { indexes: [index] }),
      ({ phase: told }) => (told.startsWith('dropping') ? held.release() : undefined),
    );
    await held.until(phase);
    cancel.abort();
    const { outcome } = await running;
    // Once the new index has the name there is only the old one to be rid of.
    const isInUse = left.endsWith('_ccold');
    expect(outcome.cancelled).toBe(!isInUse);
    expect(outcome.result.rebuilt).toHaveLength(isInUse ? 1 : 0);
    expect(await invalid(test)).toEqual([]);
    expect(await healthy(test)).toContain(index);
  });

  it.each(waitingPhases)('by a lock time-out while %s: the same', async (phase, left) => {
    const test = await createTestDatabase();
    const database = await openOn(test);
    // A slow machine may need longer than that for the phases before: then it is given longer.
    for (let lockTimeoutMs = 400; ; lockTimeoutMs *= 2) {
      const held = await holdRebuild(test);
      const told: (string | undefined)[] = [];
      let over = false;
      const running = collect(
        runAction('reindex', { database, signal: never }, { indexes: [index], lockTimeoutMs }),
        ({ blockedBy }) => told.push(blockedBy),
      )
        .catch((error: unknown) => error)
        .finally(() => (over = true));
      const reached = await held.until(phase, () => over);
      const end = await running;
      await held.release();
      if (!reached) {
        await collect(runAction('clean-up', { database, signal: never }, {}));
        continue;
      }
      if (left.endsWith('_ccnew')) {
        const hint = expect.stringContaining('--clean-up') as string;
        expect(end).toMatchObject({ code: 'lock_timeout', hint });
      } else {
        // The new one is in use: it is rebuilt, and what it was still waits to be dropped.
        const rebuilt = [{ index, leftBehind: `what was ${index}` }];
        expect(end).toMatchObject({ outcome: { result: { rebuilt } } });
      }
      break;
    }
    await expectFoundAndCleanedUp(test, left);
  });
});
