import { describe, expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import type { Action, Outcome, Progress } from '../../../src/maintenance/action.js';
import { journaled } from '../../../src/maintenance/journal/journaled.js';
import { readRun, readRuns } from '../../../src/maintenance/journal/run.js';
import { openConsole } from '../../deploy/helpers.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { startPgbouncer } from '../../helpers/pgbouncer.js';
import { testServer } from '../../helpers/server.js';
import { collect } from '../helpers.js';

type Input = { rooms: number };

/** An action that changes nothing: it cleans rooms, one a step, and waits for `gate` in each. */
function cleaning(
  gate: (room: number, signal: AbortSignal) => Promise<unknown> = () => Promise.resolve(),
  exclusive?: Action<Input, Input>['exclusive'],
): Action<Input, { cleaned: number }> {
  return {
    id: 'clean',
    title: 'Clean rooms',
    requires: [],
    ...(exclusive ? { exclusive } : {}),
    subject: ({ rooms }) => `${rooms} rooms`,
    tables: () => [],
    preview: () => Promise.resolve({ title: '', facts: [], sql: [], warnings: [] }),
    async *run({ signal }, { rooms }): AsyncGenerator<Progress, Outcome<{ cleaned: number }>> {
      let cleaned = 0;
      while (cleaned < rooms && !signal.aborted) {
        yield { phase: 'cleaning', done: cleaned, total: rooms, unit: 'rooms' };
        await gate(cleaned, signal);
        cleaned += 1;
      }
      const cancelled = signal.aborted;
      return { summary: `Cleaned ${cleaned} rooms.`, cancelled, result: { cleaned } };
    },
  };
}

const follow = { name: 'cleaning', whenTaken: 'follow' } as const;

async function consoleOf(url: string): Promise<Database> {
  const database = await openConsole(url);
  onTestFinished(() => database.close());
  return database;
}

const start = (
  database: Database,
  action: Action<Input, { cleaned: number }>,
  rooms = 2,
  signal = new AbortController().signal,
) => collect(journaled(action, { database, signal }, { rooms }));

const runsOf = (database: Database) =>
  database.transaction({ readOnly: true }, (tx) => readRuns(tx, database.capabilities.schema, 100));

function gate(): { open: () => void; opened: Promise<void> } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

const aborted = (signal: AbortSignal) =>
  new Promise((resolve) => signal.addEventListener('abort', resolve));

async function letLeaseRunOut(test: TestDatabase): Promise<void> {
  await test.query(
    `UPDATE trace_console.maintenance_runs SET lease_until = clock_timestamp() - interval '1 s'`,
  );
}

describe('the journal', () => {
  it('has who ran what from where, with input, last progress and result; also behind pgbouncer', async () => {
    const test = await createTestDatabase();
    const pooler = await startPgbouncer(testServer());
    const database = await openConsole(pooler.url(test.name));
    const { outcome } = await start(database, cleaning());
    expect(outcome).toMatchObject({ run: 1, result: { cleaned: 2 }, summary: 'Cleaned 2 rooms.' });
    const [run] = await runsOf(database);
    expect(run).toMatchObject({
      id: 1,
      action: 'clean',
      title: 'Clean rooms',
      subject: '2 rooms',
      input: { rooms: 2 },
      state: 'done',
      role: database.capabilities.user,
      clientPid: process.pid,
      application: 'trace-console',
      progress: { phase: 'cleaning', done: 1, total: 2 },
      result: { cleaned: 2 },
      summary: 'Cleaned 2 rooms.',
      error: null,
    });
    expect(run?.clientHost).toMatch(/./);
    expect(run?.endedAt?.getTime()).toBeGreaterThanOrEqual(run?.startedAt.getTime() ?? Infinity);
    await database.close();
    await pooler.stop();
  });

  it('tells a cancelled run from a failed one, and keeps the reason', async () => {
    const database = await consoleOf((await createTestDatabase()).url);
    const cancel = new AbortController();
    await start(
      database,
      cleaning(() => {
        cancel.abort();
        return Promise.resolve();
      }),
      5,
      cancel.signal,
    );
    const fails = cleaning(() => Promise.reject(new Error('the broom broke')));
    await expect(start(database, fails)).rejects.toThrow('the broom broke');
    const given = journaled(
      cleaning(),
      { database, signal: new AbortController().signal },
      { rooms: 9 },
    );
    await given.next();
    await given.return(undefined as never);
    expect(await runsOf(database)).toMatchObject([
      { id: 3, state: 'failed', error: { code: 'interrupted' } },
      {
        id: 2,
        state: 'failed',
        error: { message: 'the broom broke' },
        endedAt: expect.any(Date) as Date,
      },
      { id: 1, state: 'cancelled', result: { cleaned: 1 }, error: null },
    ]);
  });

  it('gives signs of life and progress while a step takes long', async () => {
    const database = await consoleOf((await createTestDatabase()).url);
    const { open, opened } = gate();
    const running = start(
      database,
      cleaning(() => opened),
    );
    await expect
      .poll(async () => (await runsOf(database))[0]?.progress, { timeout: 50_000 })
      .toMatchObject({ phase: 'cleaning', done: 0 });
    open();
    await running;
  });

  it('does without where the role may not write it, and the summary says so', async () => {
    const test = await createTestDatabase();
    const owner = await consoleOf(test.url);
    await start(owner, cleaning());
    await test.query('ALTER TABLE trace_console.maintenance_runs RENAME TO kept');
    await test.query('CREATE VIEW trace_console.maintenance_runs AS SELECT 1 AS id');
    const { outcome } = await start(owner, cleaning());
    expect(outcome).toMatchObject({
      result: { cleaned: 2 },
      summary: expect.stringMatching(/^Cleaned 2 rooms\. Not in the journal: /) as string,
    });
    expect(outcome.run).toBeUndefined();
  });
});

describe('a run whose console died', () => {
  it('is shown as crashed, and taken up by the next one with the same input', async () => {
    const test = await createTestDatabase();
    const database = await consoleOf(test.url);
    const { open, opened } = gate();
    const dead = start(
      database,
      cleaning((room, signal) => (room === 0 ? opened : aborted(signal)), follow),
      3,
    );
    await expect.poll(async () => (await runsOf(database)).length).toBe(1);
    await letLeaseRunOut(test);
    expect(await runsOf(database)).toMatchObject([{ id: 1, state: 'crashed' }]);
    const { outcome } = await start(database, cleaning(undefined, follow), 3);
    expect(outcome).toMatchObject({ run: 2, result: { cleaned: 3 } });
    expect(await runsOf(database)).toMatchObject([
      { id: 2, state: 'done', resumes: 1 },
      { id: 1, state: 'crashed', resumedBy: 2, input: { rooms: 3 } },
    ]);
    // It only slept: it finds its run taken over at its next sign of life, and stops.
    open();
    const slept = await dead;
    expect(slept.outcome).toMatchObject({ cancelled: true, result: { cleaned: 2 } });
    expect(slept.outcome.summary).toContain('another console took over');
    expect(await runsOf(database)).toMatchObject([{ state: 'done' }, { state: 'crashed' }]);
  });
});

describe('two runs under one name', () => {
  it('one works; the other says who, shows its progress, and ends with it', async () => {
    const database = await consoleOf((await createTestDatabase()).url);
    const { open, opened } = gate();
    const first = start(
      database,
      cleaning(() => opened, follow),
    );
    await expect
      .poll(async () => (await runsOf(database))[0]?.progress, { timeout: 50_000 })
      .toMatchObject({ done: 0 });
    const cleaned: number[] = [];
    const second = collect(
      journaled(
        cleaning((room) => Promise.resolve(cleaned.push(room)), follow),
        { database, signal: new AbortController().signal },
        { rooms: 2 },
      ),
      open,
    );
    const { progress, outcome } = await second;
    expect(progress[0]).toMatchObject({ phase: 'cleaning', done: 0, total: 2, unit: 'rooms' });
    expect(progress[0]?.blockedBy).toContain(`${database.capabilities.user} (`);
    expect(progress[0]?.blockedBy).toContain('(run 1)');
    expect(outcome).toMatchObject({ run: 1, followed: true, result: { cleaned: 2 } });
    expect(outcome.summary).toContain('did it (run 1): Cleaned 2 rooms.');
    expect(cleaned).toEqual([]);
    expect((await first).outcome.result).toEqual({ cleaned: 2 });
    expect(await runsOf(database)).toHaveLength(1);
  });

  it('the looker-on takes over when the worker dies, and cancelled it leaves the worker alone', async () => {
    const test = await createTestDatabase();
    const database = await consoleOf(test.url);
    const { open, opened } = gate();
    const first = start(
      database,
      cleaning(() => opened, follow),
    );
    await expect.poll(async () => (await runsOf(database)).length).toBe(1);

    const cancel = new AbortController();
    const looking = journaled(
      cleaning(undefined, follow),
      { database, signal: cancel.signal },
      { rooms: 2 },
    );
    await expect(collect(looking, () => cancel.abort())).rejects.toMatchObject({
      code: 'interrupted',
      message: expect.stringContaining('Run 1 of') as string,
    });
    expect(await runsOf(database)).toMatchObject([{ id: 1, state: 'running' }]);

    const { outcome } = await collect(
      journaled(
        cleaning(undefined, follow),
        { database, signal: new AbortController().signal },
        { rooms: 2 },
      ),
      () => letLeaseRunOut(test),
    );
    expect(outcome).toMatchObject({ run: 2, result: { cleaned: 2 } });
    expect(outcome.followed).toBeUndefined();
    open();
    await first;
  });

  it('an action that does not follow is refused, with who is at it', async () => {
    const database = await consoleOf((await createTestDatabase()).url);
    const { open, opened } = gate();
    const refuse = { name: 'cleaning', whenTaken: 'refuse' } as const;
    const first = start(
      database,
      cleaning(() => opened, refuse),
    );
    await expect.poll(async () => (await runsOf(database)).length).toBe(1);
    await expect(start(database, cleaning(undefined, refuse))).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringMatching(/refused, .+ is at "Clean rooms \(2 rooms\)" since/) as string,
    });
    open();
    await first;
    const run = await database.transaction({ readOnly: true }, (tx) => readRun(tx, 'public', 1));
    expect(run?.state).toBe('done');
  });
});
