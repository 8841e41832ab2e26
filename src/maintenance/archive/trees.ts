import { withSeparators } from '../../core/format/number.js';
import { type ArchivedTable, archivedTables, archiveOf, hasOtlpTag } from '../../core/tables.js';
import { byOwnKey } from '../../core/values.js';
import type { Database, Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import type { Preview } from '../action.js';

/** The key of archive_traces (011); whoever changes the archive holds it until its transaction ends. */
const key = `hashtextextended('trace_console.archive:' || $1, 0)`;

/**
 * Limits of a batch that changes the archive. A scheduled archiver has it for about half a second every
 * minute: a long purge would meet it, and so it is waited for. Nobody queues behind such a wait.
 */
export const archiveLimits = { statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 } as const;

/**
 * Keeps every other archiver out until the transaction ends; waits for one as long as its lock time-out says.
 *
 * @throws ConsoleError `busy` when another session is at it for longer
 */
export async function lockArchive(tx: Queryable, schema: string): Promise<void> {
  try {
    await tx.query(`SELECT pg_advisory_xact_lock(${key})`, [schema]);
  } catch (error) {
    if (!(error instanceof ConsoleError && error.code === 'lock_timeout')) throw error;
    throw new ConsoleError('busy', 'The archive is being worked on by another session.', {
      sqlState: '55006',
      cause: error,
    });
  }
}

type HolderRow = {
  pid: number;
  role: string | null;
  application: string | null;
  address: string | null;
};

/** The error of a taken lock with who has it; any other as it is. */
export async function namedHolder(database: Database, error: unknown): Promise<unknown> {
  if (!(error instanceof ConsoleError && error.sqlState === '55006')) return error;
  const holders = await database
    .read<HolderRow>(
      `SELECT l.pid, a.usename::text AS role, NULLIF(a.application_name, '') AS application,
         host(a.client_addr) AS address
       FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
       WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND (l.classid::bigint << 32) | l.objid::bigint = ${key}`,
      [database.capabilities.schema],
    )
    .catch(() => []);
  const [holder] = holders;
  const who = holder
    ? [`pid ${holder.pid}`, holder.role, holder.application, holder.address]
        .filter((part) => part !== null)
        .join(', ')
    : 'it has ended meanwhile';
  return new ConsoleError(
    'busy',
    `The archive is being worked on by another session (${who}), which is in no journal.`,
    { hint: 'Wait until it has finished, and run it again.', cause: error, sqlState: '55006' },
  );
}

/** Which archived trees: exactly one of these is given. */
export type TreeChoice = {
  /** Of these traces: their id, correlation_id, root_id, or the trace id of whoever sent them by OpenTelemetry. */
  traces?: readonly string[];
  session?: string;
  /** With a trace that started at this moment or later, ISO 8601. */
  since?: string;
  /** All of whose traces started longer ago than this interval in PostgreSQL's words. */
  olderThan?: string;
};

/** A choice as a condition of the archive's rows `t`, which holds for all traces of a tree or for none. */
export type ChosenTrees = { condition: string; value: unknown };

const later = (time: string) => `EXISTS (SELECT FROM execution_traces_archive AS other
  WHERE other.root_id = t.root_id AND other.started_at >= ${time})`;

/**
 * Looks up what a choice means now; moments are frozen here.
 *
 * @throws ConsoleError `usage` when a named trace or session is not in the archive
 */
export async function chooseTrees(database: Database, choice: TreeChoice): Promise<ChosenTrees> {
  needArchive(database);
  const { traces, session, since, olderThan } = choice;
  if (since !== undefined) return { condition: later('$1::timestamptz'), value: since };
  if (olderThan !== undefined) {
    const [row] = await database.read<{ cutoff: string }>(
      `SELECT (now() - $1::interval)::text AS cutoff`,
      [olderThan],
    );
    // The first comparison is the second's consequence, and one that the index by time can use.
    const condition = `t.started_at < $1::timestamptz AND NOT ${later('$1::timestamptz')}`;
    return { condition, value: row?.cutoff };
  }
  const roots = await rootsOf(database, traces ?? [], session);
  return { condition: 't.root_id = ANY ($1::uuid[])', value: roots };
}

async function rootsOf(
  database: Database,
  traces: readonly string[],
  session: string | undefined,
): Promise<string[]> {
  const rows = await database.read<{ root: string; asked: string }>(
    session === undefined
      ? `SELECT DISTINCT t.root_id AS root, asked.id AS asked
         FROM unnest($1::uuid[]) AS asked (id) JOIN execution_traces_archive AS t
           ON t.root_id = asked.id OR t.correlation_id = asked.id OR t.id = asked.id`
      : `SELECT DISTINCT root_id AS root, session_id AS asked FROM execution_traces_archive
         WHERE session_id = ANY ($1::uuid[])`,
    [session === undefined ? traces : [session]],
    { statementTimeoutMs: 60_000 },
  );
  const asked = session === undefined ? traces : [session];
  const unknown = () => {
    const found = new Set(rows.map((row) => row.asked));
    return asked.filter((id) => !found.has(id.toLowerCase()));
  };
  // By the trace id of whoever sent it by OpenTelemetry.
  if (session === undefined && unknown().length > 0) {
    const tagged = await database.read<{ root: string; asked: string }>(
      `SELECT DISTINCT t.root_id AS root, asked.id AS asked
       FROM unnest($1::uuid[]) AS asked (id) JOIN execution_traces_archive AS t ON ${hasOtlpTag('asked.id')}`,
      [unknown()],
      { statementTimeoutMs: 60_000 },
    );
    rows.push(...tagged);
  }
  const missing = unknown();
  if (missing.length > 0) {
    throw new ConsoleError('not_found', `Not in the archive: ${missing.join(', ')}.`, {
      hint: 'trace-console archive list shows what is.',
    });
  }
  return [...new Set(rows.map(({ root }) => root))];
}

/** @throws ConsoleError `schema_missing` */
export function needArchive({ capabilities }: Database): void {
  const missing = archivedTables
    .map(archiveOf)
    .filter((name) => !byOwnKey(capabilities.tables, name));
  if (missing.length > 0) {
    throw new ConsoleError('schema_missing', `There is no table ${missing.join(', ')}.`, {
      hint: 'Create the archive: trace-console schema apply',
    });
  }
}

/** A tree is listed at its first archived trace, so that a walk meets it once. */
const firstOfTree = `NOT EXISTS (SELECT FROM execution_traces_archive AS earlier
  WHERE earlier.root_id = t.root_id AND (earlier.started_at, earlier.id) < (t.started_at, t.id))`;

/** Where a walk through the trees is: the first trace of the last tree. Text keeps the microseconds. */
export type TreeCursor = {
  at: string;
  id: string;
  /** How many trees fitted into the last batch. */
  trees: number;
};

type TreeBatch = { roots: string[]; next: TreeCursor | undefined };

/**
 * Stored bytes of the trees of one batch, beside a first one of any size: a transaction stays short, and a
 * batch of an export fits into memory, however large prompts and outputs are.
 */
const batchBytes = 32 * 1024 * 1024;

/** The number of trees measured at first; later twice as many as fitted last time, so that large ones are not measured in vain. */
const firstTrees = 20;

/** What a row costs besides its values: its header and its places in indexes. */
const rowBytes = 200;

/** How many of the trees fit into so many bytes, at least one. Long values are measured, not read. */
async function howManyFit(
  tx: Queryable,
  columns: ColumnsByTable,
  roots: readonly string[],
  most: number,
): Promise<number> {
  const parts = archivedTables.map((table) => {
    const sizes = columns[table].map(
      ({ name }) => `COALESCE(pg_column_size(c.${quoteIdent(name)}), 0)`,
    );
    return `SELECT t.root_id, ${[rowBytes, ...sizes].join(' + ')} AS bytes FROM execution_traces_archive AS t
      JOIN ${quoteIdent(archiveOf(table))} AS c ON c.${traceKey(table)} = t.id WHERE t.root_id = ANY ($1::uuid[])`;
  });
  const { rows } = await tx.query<{ trees: number }>(
    `SELECT count(*) AS trees FROM (
       SELECT sum(sum(bytes)) OVER (ORDER BY array_position($1::uuid[], root_id)) AS total
       FROM (${parts.join(' UNION ALL ')}) AS row GROUP BY root_id) AS tree
     WHERE total <= $2`,
    [roots, most],
  );
  return Math.max(1, rows[0]?.trees ?? 0);
}

type TreeWalk = {
  after: TreeCursor | undefined;
  columns: ColumnsByTable;
  /** Trees of a batch at most. */
  most: number;
  /** Their stored bytes at most; default 32 MB. */
  bytes?: number;
};

/** The next trees of a choice, oldest first; none when there are no more. */
export async function nextTrees(
  tx: Queryable,
  { condition, value }: ChosenTrees,
  { after, columns, most, bytes = batchBytes }: TreeWalk,
): Promise<TreeBatch> {
  const limit = Math.min(most, after ? 2 * after.trees : firstTrees);
  const { rows: found } = await tx.query<{ root: string; at: string; id: string }>(
    `SELECT t.root_id AS root, t.started_at::text AS at, t.id
     FROM execution_traces_archive AS t
     WHERE ${condition} AND ${firstOfTree}
       AND ($2::timestamptz IS NULL OR (t.started_at, t.id) > ($2::timestamptz, $3::uuid))
     ORDER BY t.started_at, t.id LIMIT $4`,
    [value, after?.at ?? null, after?.id ?? null, limit],
  );
  const roots = found.map(({ root }) => root);
  const rows =
    roots.length > 1 ? found.slice(0, await howManyFit(tx, columns, roots, bytes)) : found;
  const last = rows.at(-1);
  return {
    roots: rows.map(({ root }) => root),
    next: last && { at: last.at, id: last.id, trees: rows.length },
  };
}

type ChosenCount = {
  trees: number;
  traces: number;
  oldest: Date | null;
  newest: Date | null;
};

/** How many trees and traces a choice has. */
export async function countTrees(
  database: Database,
  { condition, value }: ChosenTrees,
): Promise<ChosenCount> {
  const [row] = await database.read<ChosenCount>(
    `SELECT count(*) AS trees, COALESCE(sum(size), 0) AS traces, min(oldest) AS oldest, max(newest) AS newest
     FROM (SELECT count(*) AS size, min(t.started_at) AS oldest, max(t.started_at) AS newest
           FROM execution_traces_archive AS t WHERE ${condition} GROUP BY t.root_id) AS tree`,
    [value],
    { statementTimeoutMs: 60_000 },
  );
  return row ?? { trees: 0, traces: 0, oldest: null, newest: null };
}

const choiceKeys = ['traces', 'session', 'since', 'olderThan'] as const;

/** A choice as the journal has it; undefined when it is none. */
export function readChoice(stored: Record<string, unknown>): TreeChoice | undefined {
  const given = choiceKeys.filter((key) => stored[key] !== undefined);
  const [key] = given;
  if (given.length !== 1 || key === undefined) return undefined;
  const value = stored[key];
  if (key !== 'traces') return typeof value === 'string' ? { [key]: value } : undefined;
  const texts = Array.isArray(value) && value.every((id) => typeof id === 'string');
  return texts ? { traces: value } : undefined;
}

/** A choice in words. */
export function choiceText({ traces, session, since, olderThan }: TreeChoice): string {
  if (session !== undefined) return `session ${session}`;
  if (since !== undefined) return `since ${since}`;
  if (olderThan !== undefined) return `older than ${olderThan}`;
  const [first = 'nothing', ...more] = traces ?? [];
  return more.length === 0 ? first : `${first} and ${more.length} more`;
}

/** The preview of what is done to chosen trees: how many and of which time, then `rest`. */
export async function treePreview(
  database: Database,
  choice: TreeChoice,
  rest: Omit<Preview, 'nothing' | 'list'>,
): Promise<Preview> {
  const chosen = await chooseTrees(database, choice);
  const { trees, traces, oldest, newest } = await countTrees(database, chosen);
  if (trees === 0) {
    const nothing = 'No archived trace is meant by that.';
    return { title: rest.title, facts: [], sql: [], warnings: [], nothing };
  }
  return {
    ...rest,
    facts: [
      { label: 'Trees', value: withSeparators(trees) },
      { label: 'Traces', value: `${withSeparators(traces)}, with all that belongs to them` },
      { label: 'Started', value: daySpan(oldest, newest) },
      ...rest.facts,
    ],
  };
}

/** `2026-03-01 to 2026-04-02`. A writer may have given an infinite time, which arrives as a number. */
export function daySpan(...moments: readonly (Date | number | null)[]): string {
  const day = (moment: Date | number | null) => {
    if (moment instanceof Date) return moment.toISOString().slice(0, 10);
    return moment === null ? '-' : moment < 0 ? 'before all time' : 'after all time';
  };
  return moments.map(day).join(' to ');
}

export type ArchiveColumn = { name: string; json: boolean; inLive: boolean };

/** The columns of an archive table; `inLive`: the live table has it, and it can be written there. */
async function archiveColumns(
  tx: Queryable,
  schema: string,
  table: ArchivedTable,
): Promise<ArchiveColumn[]> {
  const { rows } = await tx.query<ArchiveColumn>(
    `SELECT a.attname::text AS name, a.atttypid = 'jsonb'::regtype AS json, live.attname IS NOT NULL AS "inLive"
     FROM pg_attribute AS a
     LEFT JOIN pg_attribute AS live ON live.attrelid = to_regclass($2) AND live.attname = a.attname
       AND NOT live.attisdropped AND live.attgenerated = ''
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [quoteIdent(schema, archiveOf(table)), quoteIdent(schema, table)],
  );
  return rows;
}

export type ColumnsByTable = Record<ArchivedTable, ArchiveColumn[]>;

export async function columnsByTable(database: Database): Promise<ColumnsByTable> {
  const { schema } = database.capabilities;
  return database.transaction({ readOnly: true }, async (tx) => ({
    execution_traces: await archiveColumns(tx, schema, 'execution_traces'),
    agent_routing_decisions: await archiveColumns(tx, schema, 'agent_routing_decisions'),
    hook_executions: await archiveColumns(tx, schema, 'hook_executions'),
    endpoint_calls: await archiveColumns(tx, schema, 'endpoint_calls'),
  }));
}

/** What links a row to its trace. */
export function traceKey(table: ArchivedTable): string {
  return table === 'execution_traces' ? 'id' : 'trace_id';
}
