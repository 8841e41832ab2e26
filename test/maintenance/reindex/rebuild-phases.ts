import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { TestDatabase } from '../../helpers/database.js';

/** The index that {@link holdRebuild} stops in each phase of its rebuild. */
export const index = 'idx_execution_traces_root';

/**
 * The phases in which REINDEX CONCURRENTLY spends its time, in their order, and what it leaves in each. The two
 * between building and scanning the table again (scanning the index, sorting) leave what the latter does.
 */
export const phases = [
  ['waiting for writers before build', `${index}_ccnew`],
  ['building index: scanning table', `${index}_ccnew`],
  ['waiting for writers before validation', `${index}_ccnew`],
  ['index validation: scanning table', `${index}_ccnew`],
  ['waiting for old snapshots', `${index}_ccnew`],
  ['waiting for readers before marking dead', `${index}_ccold`],
  ['waiting for readers before dropping', `${index}_ccold`],
] as const;

export type Phase = (typeof phases)[number][0];

export const waitingPhases = phases.filter(([phase]) => phase.startsWith('waiting'));

/** The phase that the server is in with an index of this database. */
export async function phaseOf(test: TestDatabase): Promise<string | undefined> {
  const { rows } = await test.query<{ phase: string }>(
    'SELECT phase FROM pg_stat_progress_create_index WHERE datname = current_database()',
  );
  return rows[0]?.phase;
}

/** A transaction that every waiting phase has to wait for: it writes, reads, and has a snapshot. */
export async function holdTable(
  test: TestDatabase,
  table = 'execution_traces',
): Promise<pg.Client> {
  const holder = new pg.Client({ connectionString: test.url });
  await holder.connect();
  onTestFinished(() => holder.end().catch(() => undefined));
  await holder.query(
    `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM ${table} LIMIT 1;
     LOCK TABLE ${table} IN ROW EXCLUSIVE MODE`,
  );
  return holder;
}

export type HeldRebuild = {
  /**
   * Lets the rebuild that was begun meanwhile go on, phase by phase, until it is in this one.
   *
   * @param isOver says that it has ended without; then this returns false
   */
  until: (phase: Phase, isOver?: () => boolean) => Promise<boolean>;
  /** Nothing is in the way of anybody any more. */
  release: () => Promise<void>;
};

const addTrace = `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
  SELECT id, id, id, 'test', 'completed' FROM gen_random_uuid() AS id`;

/**
 * Puts a stop before every phase of a rebuild of {@link index}. The waits are held by transactions. The scans are held
 * in an expression of the index: for the console's maintenance sessions it waits for an advisory lock. The second
 * scan of the table reads only what was written during the first.
 */
export async function holdRebuild(test: TestDatabase): Promise<HeldRebuild> {
  await test.query(
    `CREATE OR REPLACE FUNCTION held(id uuid) RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS $$
     BEGIN
       IF current_setting('application_name') = 'trace-console maintenance' THEN
         WHILE NOT pg_try_advisory_xact_lock_shared(1) LOOP PERFORM pg_sleep(0.01); END LOOP;
       END IF;
       RETURN id;
     END $$;
     DROP INDEX ${index};
     CREATE INDEX ${index} ON execution_traces (held(root_id));
     ${addTrace}`,
  );
  const gate = new pg.Client({ connectionString: test.url });
  await gate.connect();
  onTestFinished(() => gate.end().catch(() => undefined));
  const close = () => gate.query('SELECT pg_advisory_lock(1)');
  const open = () => gate.query('SELECT pg_advisory_unlock_all()');
  await close();
  let holder: pg.Client | undefined = await holdTable(test);
  // The next phase waits for the younger transaction.
  const relay = async () => {
    const older = holder;
    holder = await holdTable(test);
    await older?.end();
  };
  const leave = async (phase: Phase) => {
    if (phase === 'building index: scanning table') {
      await test.query(addTrace);
      await open();
    } else if (phase === 'waiting for writers before validation') {
      await close();
      await relay();
    } else if (phase === 'index validation: scanning table') {
      await open();
    } else {
      await relay();
    }
  };
  return {
    until: async (wanted, isOver = () => false) => {
      for (const [phase] of phases) {
        for (const started = performance.now(); (await phaseOf(test)) !== phase;) {
          if (isOver()) return false;
          if (performance.now() - started > 30_000) throw new Error(`not in the phase ${phase}`);
          await sleep(10);
        }
        if (phase === wanted) return true;
        await leave(phase);
      }
      return false;
    },
    release: async () => {
      await holder?.end();
      holder = undefined;
      await open();
    },
  };
}
