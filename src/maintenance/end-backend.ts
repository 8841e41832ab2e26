import { counted } from '../core/format/number.js';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../core/format/time.js';
import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import type { Queryable } from '../db/queryable.js';
import {
  oneOrCount,
  type Action,
  type ActionContext,
  type OfferCommand,
  type Outcome,
  type Preview,
  type Progress,
} from './action.js';
import { boundedText } from '../db/quote.js';

/** A backend as it was chosen. Process ids are used again: it is that one only if it started then. */
export type ChosenBackend = {
  pid: number;
  /** ISO 8601 to the millisecond, by the server's clock. */
  startedAt: string;
  /** Of the statement that was seen; a later one is not cancelled. */
  queryStartedAt?: string;
};

export type EndBackendInput = { backends: readonly ChosenBackend[] };

export type EndBackendResult = {
  /** Process ids that were asked to end, and did. */
  ended: number[];
  /** Process ids that had ended before, or were at another statement by then. */
  gone: number[];
  /** Process ids that were asked to end and are still there. */
  remaining: number[];
};

type Kind = {
  id: string;
  /** `Cancel the query` */
  title: string;
  /** `Cancelled the query of` */
  done: string;
  command: 'pg_cancel_backend' | 'pg_terminate_backend';
  /** Only of the statement that was seen. */
  isOfStatement: boolean;
  consequence: string;
  offer: OfferCommand;
};

/** How long is waited for what was asked to end. */
const patienceMs = 5_000;
const lookEveryMs = 100;

const mostListed = 20;

function endBackend(kind: Kind): Action<EndBackendInput, EndBackendResult> {
  return {
    id: kind.id,
    title: kind.title,
    requires: ['primary'],
    subject: ({ backends }) => backends.map(({ pid }) => `pid ${pid}`).join(', '),
    tables: () => [],
    offers: [
      {
        command: kind.offer,
        rows: 'backend',
        needs: 'a backend',
        choose(rows) {
          const backends = rows.flatMap(chosenOf);
          const pids = backends.map(({ pid }) => `pid ${pid}`);
          return { title: `${kind.title} of ${oneOrCount(pids, 'backends')}`, input: { backends } };
        },
      },
    ],
    preview: (context, input) => preview(kind, context, input),
    run: (context, input) => run(kind, context, input),
  };
}

export const cancelQuery = endBackend({
  id: 'cancel-query',
  title: 'Cancel the query',
  done: 'Cancelled the query of',
  command: 'pg_cancel_backend',
  isOfStatement: true,
  consequence:
    'the statement ends with an error, and its transaction is aborted; the connection stays',
  offer: {
    id: 'cancel-query',
    key: 'c',
    bar: 'cancel query',
    priority: 3,
    title: 'cancel the query of the chosen backend (PostgreSQL), after a preview',
  },
});

export const terminateBackend = endBackend({
  id: 'terminate-backend',
  title: 'Terminate the backend',
  done: 'Terminated',
  command: 'pg_terminate_backend',
  isOfStatement: false,
  consequence: 'the connection is closed, its transaction rolled back, its locks given back',
  offer: {
    id: 'terminate-backend',
    key: 'Z',
    bar: 'terminate',
    priority: 3,
    title: 'terminate the chosen backend (PostgreSQL): close its connection, after a preview',
  },
});

/** A backend from a row of the pane; none where this role may not see its start: a later backend may have the same pid. */
function chosenOf(row: object): ChosenBackend[] {
  const { pid, startedAt, queryStartedAt } = row as Record<string, unknown>;
  if (typeof pid !== 'number') return [];
  const of = (value: unknown) => (value instanceof Date ? value.toISOString() : undefined);
  const query = of(queryStartedAt);
  return [
    {
      pid,
      startedAt: of(startedAt) ?? '',
      ...(query === undefined ? {} : { queryStartedAt: query }),
    },
  ];
}

/**
 * `$1`: process ids. `may_signal` is what the server asks for: the same role or pg_signal_backend, and a superuser for
 * a superuser's backend.
 */
const backendStatement = `
SELECT
  a.pid, a.backend_start, a.query_start, a.usename::text AS "user", a.state, a.backend_type,
  ${boundedText('a.application_name', 60)} AS application, host(a.client_addr) AS client, ${boundedText('a.query', 300)} AS query,
  (1000 * date_part('epoch', clock_timestamp() - a.xact_start))::float8 AS transaction_ms,
  (SELECT count(*) FROM pg_stat_activity AS w
   WHERE w.wait_event_type = 'Lock' AND w.datname = a.datname AND a.pid = ANY (pg_blocking_pids(w.pid))) AS blocks,
  me.rolsuper OR (a.usesysid IS NOT NULL AND NOT COALESCE(r.rolsuper, true)
    AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))) AS may_signal,
  a.pid = pg_backend_pid() AS is_asking
FROM pg_stat_activity AS a
CROSS JOIN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS me
LEFT JOIN pg_roles AS r ON r.oid = a.usesysid
WHERE a.pid = ANY ($1::int[]) AND a.datname = current_database()`;

type BackendRow = {
  pid: number;
  backend_start: Date | null;
  query_start: Date | null;
  user: string | null;
  state: string | null;
  backend_type: string | null;
  application: string | null;
  client: string | null;
  query: string | null;
  transaction_ms: number | null;
  blocks: number;
  may_signal: boolean;
  is_asking: boolean;
};

type Found = { chosen: ChosenBackend; row: BackendRow };

/**
 * The chosen backends that are still there, at the statement that was seen.
 *
 * @throws ConsoleError for one of the console's own, or one that this role may not signal
 */
async function findChosen(
  tx: Queryable,
  database: Database,
  kind: Kind,
  { backends }: EndBackendInput,
): Promise<Found[]> {
  const { embedded, pooled, user } = database.capabilities;
  if (embedded) {
    throw new ConsoleError(
      'usage',
      'The embedded engine has one session, which all clients share.',
      {
        hint: 'End the client itself; trace-console embedded status counts them.',
      },
    );
  }
  const { rows } = await tx.query<BackendRow>(backendStatement, [backends.map(({ pid }) => pid)]);
  const found = backends.flatMap((chosen) => {
    const row = rows.find(({ pid }) => pid === chosen.pid);
    return row && isChosen(kind, chosen, row) ? [{ chosen, row }] : [];
  });
  for (const { row } of found) {
    const isOwn = row.is_asking || database.ownPids.includes(row.pid);
    if (isOwn || (pooled && row.application === 'trace-console')) {
      throw new ConsoleError(
        'usage',
        `${kind.title}: refused, pid ${row.pid} is this console’s own.`,
      );
    }
    if (!row.may_signal) {
      throw new ConsoleError(
        'privilege_missing',
        `${kind.title}: refused, "${user}" may not signal backends of "${row.user ?? 'the server'}".`,
        { hint: `GRANT pg_signal_backend TO … allows it, but for those of a superuser.` },
      );
    }
  }
  return found;
}

function isChosen({ isOfStatement }: Kind, chosen: ChosenBackend, row: BackendRow): boolean {
  if (row.backend_start?.toISOString() !== chosen.startedAt) return false;
  if (!isOfStatement || chosen.queryStartedAt === undefined) return true;
  return row.query_start?.toISOString() === chosen.queryStartedAt;
}

async function preview(
  kind: Kind,
  { database }: ActionContext,
  input: EndBackendInput,
): Promise<Preview> {
  const found = await database.transaction({ readOnly: true }, (tx) =>
    findChosen(tx, database, kind, input),
  );
  const waiting = found.reduce((sum, { row }) => sum + row.blocks, 0);
  const isIdle = kind.isOfStatement && found.every(({ row }) => row.state !== 'active');
  const gone = 'It has ended, or has gone on to another statement.';
  const idle = 'It runs no statement that could be cancelled; terminate it to end its transaction.';
  return {
    title: `${kind.title} of ${oneOrCount(
      input.backends.map(({ pid }) => `pid ${pid}`),
      'backends',
    )}`,
    facts: [
      { label: 'What happens', value: kind.consequence },
      { label: 'Wait for it', value: waiting === 0 ? 'nobody' : counted(waiting, 'backend') },
    ],
    list: found.slice(0, mostListed).map(({ row }) => describe(row)),
    sql: found.slice(0, mostListed).map(({ row }) => `SELECT ${kind.command}(${row.pid})`),
    warnings: found.some(({ row }) => row.backend_type !== 'client backend')
      ? ['One of them is a worker of the server itself; autovacuum comes back.']
      : [],
    ...(found.length === 0 ? { nothing: gone } : isIdle ? { nothing: idle } : {}),
  };
}

/** `pid 4711 app@10.0.0.7 (billing), idle in transaction, open for 5m: UPDATE …` */
function describe(row: BackendRow): string {
  const name = row.application === null || row.application === '' ? 'no name' : row.application;
  const open =
    row.transaction_ms === null ? '' : `, open for ${formatDuration(row.transaction_ms)}`;
  const query = (row.query ?? '').replaceAll(/\s+/g, ' ').trim();
  return `pid ${row.pid} ${row.user ?? '?'}@${row.client ?? 'local'} (${name}), ${row.state ?? 'hidden'}${open}: ${query}`;
}

/** `$1`: process id, `$2`: its start, `$3`: the start of its statement; NULL: of any. */
const signalStatement = ({ command }: Kind) => `
SELECT ${command}(a.pid) AS sent FROM pg_stat_activity AS a
WHERE a.pid = $1 AND a.pid <> pg_backend_pid() AND a.datname = current_database()
  AND ${within2Ms('a.backend_start', '$2')} AND ($3::timestamptz IS NULL OR ${within2Ms('a.query_start', '$3')})`;

/** The console knows moments to the millisecond. */
function within2Ms(column: string, value: string): string {
  return `abs(date_part('epoch', ${column} - ${value}::timestamptz)) < 0.002`;
}

async function* run(
  kind: Kind,
  { database, signal }: ActionContext,
  input: EndBackendInput,
): AsyncGenerator<Progress, Outcome<EndBackendResult>> {
  const result: EndBackendResult = { ended: [], gone: [], remaining: [] };
  const find = () =>
    database.transaction({ readOnly: true }, (tx) => findChosen(tx, database, kind, input));
  const found = await find();
  const total = input.backends.length;
  yield { phase: 'asking them to end', done: 0, total, unit: 'backends' };
  for (const { chosen } of found) {
    const { pid, startedAt, queryStartedAt } = chosen;
    const sent = await database.transaction({}, async (tx) => {
      const query = kind.isOfStatement ? (queryStartedAt ?? null) : null;
      const { rows } = await tx.query<{ sent: boolean }>(signalStatement(kind), [
        pid,
        startedAt,
        query,
      ]);
      return rows[0]?.sent === true;
    });
    if (sent) result.remaining.push(pid);
  }
  const until = performance.now() + patienceMs;
  while (result.remaining.length > 0 && performance.now() < until && !signal.aborted) {
    const there = (await find()).filter(({ row }) => !kind.isOfStatement || row.state === 'active');
    const pids = new Set(there.map(({ row }) => row.pid));
    result.ended.push(...result.remaining.filter((pid) => !pids.has(pid)));
    result.remaining = result.remaining.filter((pid) => pids.has(pid));
    yield { phase: 'ending', done: result.ended.length, total, unit: 'backends' };
    if (result.remaining.length > 0) await sleep(lookEveryMs);
  }
  const asked = new Set([...result.ended, ...result.remaining]);
  result.gone = input.backends.flatMap(({ pid }) => (asked.has(pid) ? [] : [pid]));
  return { summary: summaryOf(kind, result), cancelled: false, result };
}

function summaryOf({ done }: Kind, { ended, gone, remaining }: EndBackendResult): string {
  const list = (pids: readonly number[]) => pids.map((pid) => `pid ${pid}`).join(', ');
  return [
    ...(ended.length > 0 ? [`${done} ${list(ended)}.`] : []),
    ...(gone.length > 0 ? [`Nothing was done to ${list(gone)}: it had ended, or gone on.`] : []),
    ...(remaining.length > 0
      ? [`${list(remaining)} was asked to end and is still at it; it may be rolling back.`]
      : []),
  ].join(' ');
}
