/**
 * What a steady refresh of the overview costs the server, and whether history behind the window costs more.
 *
 *   npm run bench -- overview [--traces 1000000] [--hour 40000] [--refreshes 20] [--data FOLDER [--fill]]
 *
 * Two databases with the same last hour (--hour traces, by default 4 % of those of the larger one, ten hooks each): a large one
 * with all its history, a small one with a tenth. Beside the measurement a writer goes on at the hour's own
 * rate, and the two are asked in turn, so that other work meets both alike. Measured by pg_stat_statements: planning and execution of every statement that the console sends,
 * its BEGIN and COMMIT included; so the network and the client are not in it.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { resolveSource } from '../src/db/connection/source.js';
import { Database } from '../src/db/database.js';
import { systemClock } from '../src/core/clock.js';
import { CostMeter } from '../src/live/pane-feed.js';
import { StatusReader } from '../src/cli/status-report.js';
import { VitalsReader } from '../src/live/vitals.js';
import { overviewPaneIds } from '../src/panes/registry.js';
import { paneById } from '../src/panes/registry.js';
import { defaultStuckAfterMs, defaultWindowMs } from '../src/panes/reading/windows.js';
import { schemaFiles } from '../test/helpers/template.js';
import { connected, keptFlags, serverCpuMs, withBenchServer } from './lib/bench-server.js';
import { fillOverview } from './lib/overview-data.js';

const { values: flags } = parseArgs({
  options: {
    traces: { type: 'string', default: '1000000' },
    hour: { type: 'string' },
    refreshes: { type: 'string', default: '20' },
    ...keptFlags,
  },
});
const traces = Number(flags.traces);
const refreshes = Number(flags.refreshes);
const panes = overviewPaneIds.map(paneById);
const hooksPerTrace = 10;
const tracesOfLastHour = flags.hour === undefined ? Math.round(traces * 0.04) : Number(flags.hour);
const everyMs = 2_000;

type Measured = {
  firstMs: number;
  /** The median; a refresh that the machine has held up is in the mean. */
  steadyMs: number;
  meanMs: number;
  /** Of the processor, a refresh; without what other work takes of it. */
  processorMs: number | undefined;
  exactMs: number;
  /** Of the median refresh. */
  statements: string[];
};

/** Traces of one transaction: a run that is broken off loses no more. */
const perPart = 250_000;

/** Neither table's own indexes are kept while it is filled: of random ids they take longer than the rows. */
const ownIndexes = `FROM pg_index WHERE indrelid IN ('execution_traces'::regclass, 'hook_executions'::regclass)`;

/** Tables, history, indexes. Goes on where an earlier run has been broken off. */
async function fillHistory(url: string, history: number): Promise<void> {
  await connected(url, async (client) => {
    const apply = async (wanted: (file: string) => boolean) => {
      for (const file of schemaFiles().filter((path) => wanted(basename(path)))) {
        await client.query(readFileSync(file, 'utf8'));
      }
    };
    const { rows: found } = await client.query(`SELECT WHERE to_regclass('filled') IS NOT NULL`);
    if (found.length === 0) {
      await apply((file) => file < '009');
      await client.query(`UPDATE pg_index SET indisready = false, indisvalid = false
        WHERE indexrelid IN (SELECT indexrelid ${ownIndexes})`);
      await client.query('CREATE TABLE filled AS SELECT now() AS begun, 0 AS traces');
    }
    for (;;) {
      const { rows } = await client.query<{ begun: Date; traces: number }>('SELECT * FROM filled');
      const { begun, traces: done } = rows[0] ?? { begun: new Date(), traces: 0 };
      if (done >= history) break;
      const last = Math.min(done + perPart, history);
      await fillOverview(
        client,
        {
          traces: history,
          hooksPerTrace,
          fromHoursAgo: 24 * 60,
          untilHoursAgo: 1,
          name: 'history',
          seed: 1,
          part: { first: done + 1, last, now: begun },
        },
        `UPDATE filled SET traces = ${last}`,
      );
    }
    await client.query(`SET maintenance_work_mem = '1GB'`);
    const { rows: own } = await client.query<{ name: string }>(
      `SELECT indexrelid::regclass AS name ${ownIndexes} AND NOT indisready`,
    );
    for (const { name } of own) await client.query(`REINDEX INDEX ${name}`);
    await apply((file) => file >= '009');
    await client.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
    await client.query('VACUUM ANALYZE');
    await client.query('DROP TABLE filled');
  });
}

/** The last hour, through the indexes: it is the newest when the measuring begins. That of an earlier measuring goes. */
async function fillHour(url: string, history: number): Promise<void> {
  await connected(url, async (client) => {
    const { rowCount } = await client.query(
      `DELETE FROM execution_traces WHERE started_at >
         (SELECT started_at + interval '1 second' FROM execution_traces WHERE id = md5('historytrace' || $1::int)::uuid)`,
      [history],
    );
    if (rowCount) await client.query('VACUUM');
    await fillOverview(client, {
      traces: tracesOfLastHour,
      hooksPerTrace,
      fromHoursAgo: 1,
      untilHoursAgo: 0,
      name: 'hour',
      seed: 2,
    });
    await client.query('ANALYZE');
    await client.query('CHECKPOINT');
  });
}

/** Inserts traces and hooks at the rate of the last hour until it is told to stop. */
async function write(url: string, signal: AbortSignal): Promise<void> {
  const perTurn = Math.max(1, Math.round(tracesOfLastHour / 3_600 / 5));
  await connected(url, async (client) => {
    while (!signal.aborted) {
      await client.query(
        `WITH trace AS (
           INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, duration_ms)
           SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'bench', 'completed', 1000
           FROM generate_series(1, $1::int) RETURNING id
         )
         INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, started_at, duration_ms)
         SELECT id, 'PreToolUse', 'hook-' || j % 9, 'Bash', 'completed', clock_timestamp(), (4 * exp(5 * random()))::int
         FROM trace, generate_series(1, $2::int) AS j`,
        [perTurn, hooksPerTrace],
      );
      await sleep(200);
    }
  });
}

/** Milliseconds that the console's role has cost since the last call, and the dearest statements. */
async function spent(url: string): Promise<{ ms: number; statements: string[] }> {
  return connected(url, async (client) => {
    const { rows } = await client.query<{ ms: number; calls: number; query: string }>(
      `SELECT total_plan_time + total_exec_time AS ms, calls::int, left(regexp_replace(query, '\\s+', ' ', 'g'), 90) AS query
       FROM pg_stat_statements WHERE userid = 'console'::regrole ORDER BY 1 DESC`,
    );
    await client.query('SELECT pg_stat_statements_reset()');
    return {
      ms: rows.reduce((sum, { ms }) => sum + ms, 0),
      statements: rows
        .slice(0, 8)
        .map(
          ({ ms, calls, query }) =>
            `${(ms / calls).toFixed(2).padStart(8)} ms × ${calls}  ${query}`,
        ),
    };
  });
}

/** Processor time of the console's connections since they began, milliseconds; undefined where they cannot be seen. */
function processorMs(url: string): Promise<number | undefined> {
  return connected(url, (client) =>
    serverCpuMs({ query: (sql) => client.query(sql) }, `usename = 'console'`),
  );
}

type Subject = {
  name: string;
  adminUrl: string;
  refresh: () => Promise<void>;
  exact: () => Promise<void>;
  close: () => Promise<void>;
  cost: Measured;
};

/** A console on one database, after its first two refreshes. */
async function subject(name: string, adminUrl: string): Promise<Subject> {
  const asConsole = new URL(adminUrl);
  asConsole.username = 'console';
  asConsole.password = 'bench';
  const source = resolveSource({ url: asConsole.href, environment: {} });
  if (source.kind === 'embedded') throw new Error('a URL names a server');
  const database = await Database.open(source);
  const writer = new AbortController();
  const writing = write(adminUrl, writer.signal);
  const options = { windowMs: defaultWindowMs, stuckAfterMs: defaultStuckAfterMs };
  const steady = new StatusReader(database, panes, { ...options, exact: false });
  const meter = new CostMeter(database);
  const vitals = new VitalsReader(systemClock);
  const refresh = async () => {
    for (const { snapshot } of await steady.read()) if (snapshot.error) throw snapshot.error;
    await meter.transaction(
      {},
      () => undefined,
      (tx) => vitals.read(tx),
    );
  };
  const hooks = panes.filter(({ id }) => id === 'slow-hooks');
  await spent(adminUrl);
  await refresh();
  const first = await spent(adminUrl);
  await refresh();
  await spent(adminUrl);
  return {
    name,
    adminUrl,
    refresh,
    exact: async () => {
      await new StatusReader(database, hooks, { ...options, exact: true }).read();
    },
    close: async () => {
      writer.abort();
      await writing;
      await database.close();
    },
    cost: {
      firstMs: first.ms,
      steadyMs: 0,
      meanMs: 0,
      processorMs: undefined,
      exactMs: 0,
      statements: [],
    },
  };
}

/** In turn, so that what else the machine does meets both alike. */
async function measure(subjects: readonly Subject[]): Promise<void> {
  const readings = subjects.map((): { ms: number; statements: string[] }[] => []);
  const before = await Promise.all(subjects.map(({ adminUrl }) => processorMs(adminUrl)));
  for (let index = 0; index < refreshes; index += 1) {
    await sleep(everyMs);
    for (const [place, { refresh, adminUrl }] of subjects.entries()) {
      await refresh();
      readings[place]?.push(await spent(adminUrl));
    }
  }
  for (const [place, { adminUrl, cost, exact }] of subjects.entries()) {
    const [begun, ended] = [before[place], await processorMs(adminUrl)];
    const of = (readings[place] ?? []).sort((one, other) => one.ms - other.ms);
    const median = of[Math.floor(of.length / 2)];
    cost.steadyMs = median?.ms ?? NaN;
    cost.statements = median?.statements ?? [];
    cost.meanMs = of.reduce((sum, { ms }) => sum + ms, 0) / refreshes;
    if (begun !== undefined && ended !== undefined) cost.processorMs = (ended - begun) / refreshes;
    await exact();
    cost.exactMs = (await spent(adminUrl)).ms;
  }
}

const settings = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track_planning': 'on',
  shared_buffers: '1GB',
  synchronous_commit: 'off',
  max_wal_size: '8GB',
};

const consoleRole = `
  DO $$ BEGIN
    IF to_regrole('console') IS NULL THEN
      CREATE ROLE console LOGIN PASSWORD 'bench' IN ROLE pg_read_all_data, pg_monitor;
    END IF;
  END $$`;

const sizes = [
  ['small', Math.round(traces * 0.1) - tracesOfLastHour],
  ['large', traces - tracesOfLastHour],
] as const;

await withBenchServer(
  async (server) => {
    const urls: string[] = [];
    for (const [, history] of sizes) {
      urls.push(
        await server.filled(`overview_${history}`, (url) => fillHistory(url, history), true),
      );
    }
    if (flags.fill) return;
    await connected(server.adminUrl, (client) => client.query(consoleRole));
    const subjects: Subject[] = [];
    for (const [index, [name, history]] of sizes.entries()) {
      const url = urls[index] ?? '';
      const began = Date.now();
      await fillHour(url, history);
      console.log(
        `${name}: ${history + tracesOfLastHour} traces, ${(history + tracesOfLastHour) * hooksPerTrace} hooks, ` +
          `their last hour filled in ${Math.round((Date.now() - began) / 1000)} s`,
      );
      subjects.push(await subject(name, url));
    }
    await measure(subjects);
    for (const { name, cost, close } of subjects) {
      await close();
      const processor =
        cost.processorMs === undefined ? '' : `, ${cost.processorMs.toFixed(1)} of the processor`;
      console.log(
        `${name}: first refresh ${cost.firstMs.toFixed(1)} ms, steady ${cost.steadyMs.toFixed(1)} ms of server time ` +
          `(mean ${cost.meanMs.toFixed(1)}${processor}), exact hook percentiles ${cost.exactMs.toFixed(1)} ms`,
      );
      for (const line of cost.statements) console.log(`  ${line}`);
    }
    const [small, large] = subjects.map(({ cost }) => cost);
    if (small && large) {
      console.log(
        `steady refresh, large against small: ${(large.steadyMs / small.steadyMs).toFixed(2)} × (limit 1.2); ` +
          `large ${large.steadyMs.toFixed(1)} ms (limit 20)`,
      );
    }
  },
  settings,
  flags.data,
);
