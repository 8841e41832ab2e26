import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import { counted, formatBytes, withSeparators } from '../../core/format/number.js';
import { formatDuration } from '../../core/format/time.js';
import {
  type Action,
  type ActionContext,
  type Outcome,
  type Progress,
  type Requirement,
  oneOrCount,
  textsOf,
  type OfferCommand,
} from '../action.js';
import {
  followStatement,
  type FollowOptions,
  readAnalyzeProgress,
  readVacuumProgress,
  connectForMaintenance,
} from '../long-statement.js';
import type { Database } from '../../db/database.js';
import { archiveOf, archivedTables, coreTables } from '../../core/tables.js';
import { ownerHint } from '../guard.js';

export type MaintainedTable = {
  table: string;
  milliseconds: number;
  /** Estimates of the server, which come a moment late; null: the rows lie on workers of a Citus cluster. */
  deadRowsBefore: number | null;
  deadRowsAfter: number | null;
};

export type MaintainTablesResult = {
  done: MaintainedTable[];
  /** Cancelled before, or given up because others had the table locked. */
  remaining: string[];
};

type Kind = {
  id: string;
  /** `Vacuum` */
  title: string;
  /** `Vacuumed` */
  done: string;
  command: 'VACUUM' | 'ANALYZE';
  requires: readonly Requirement[];
  offer: OfferCommand;
  readProgress: FollowOptions['readProgress'];
  /** What it does to the tables, and what it waits for. */
  facts: (tables: readonly TableFigures[]) => { label: string; value: string }[];
};

/** Milliseconds that a table's lock is waited for: another VACUUM may have it, or a migration. */
const lockTimeoutMs = 60_000;

/** Milliseconds that ANALYZE of one table may take where nobody can cancel it. */
const pooledTimeoutMs = 1_800_000;

const mostListed = 12;

/** VACUUM and ANALYZE alike: a statement a table, on one connection, with the server's own progress. */
function maintainTables(kind: Kind): Action<TablesInput, MaintainTablesResult> {
  return {
    id: kind.id,
    title: kind.title,
    requires: kind.requires,
    subject: subjectOf,
    readInput: readTablesInput,
    tables: ({ tables }) => tables ?? ourTables,
    offers: [
      {
        command: kind.offer,
        rows: 'table',
        choose(rows) {
          const tables = textsOf(rows, 'table');
          if (tables.length === 0) return { title: `${kind.title} all tables`, input: {} };
          return { title: `${kind.title} ${oneOrCount(tables, 'tables')}`, input: { tables } };
        },
      },
    ],
    preview: async ({ database }, input) => {
      const tables = await readChosenTables(database, kind.title, input);
      const [only] = tables;
      return {
        title: `${kind.title} ${tables.length === 1 && only ? only.table : counted(tables.length, 'table')}`,
        facts: [
          ...kind.facts(tables),
          { label: 'Locks', value: 'SHARE UPDATE EXCLUSIVE; readers and writers go on' },
        ],
        list: listOf(tables),
        sql: tables
          .slice(0, mostListed)
          .map(({ table }) => statementOf(kind, database.capabilities.schema, table)),
        warnings: [],
      };
    },
    run: (context, input) => run(kind, context, input),
  };
}

function listOf(tables: readonly TableFigures[]): string[] {
  const lines = tables
    .slice(0, mostListed)
    .map(({ table, bytes, rows, deadRows, changedSinceAnalyze }) => {
      if (bytes === null)
        return `${table}  its rows lie on workers, whose figures are not known here`;
      const known = rows === null ? 'rows not counted yet' : counted(rows, 'row');
      return `${table}  ${formatBytes(bytes)}, ${known}, ${withSeparators(deadRows ?? 0)} dead, ${withSeparators(changedSinceAnalyze ?? 0)} changed since the last analyze`;
    });
  const more = tables.length - lines.length;
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}

function statementOf({ command }: Kind, schema: string, table: string): string {
  return `${command} ${quoteIdent(schema, table)}`;
}

async function* run(
  kind: Kind,
  context: ActionContext,
  input: TablesInput,
): AsyncGenerator<Progress, Outcome<MaintainTablesResult>> {
  const { database, signal } = context;
  const tables = await readChosenTables(database, kind.title, input);
  const started = performance.now();
  const done: Omit<MaintainedTable, 'deadRowsAfter'>[] = [];
  const skipped: { table: string; reason: string }[] = [];
  const isCancelled = () => signal.aborted;
  for (const [position, { table, deadRows }] of tables.entries()) {
    if (isCancelled()) break;
    const counted = tables.length === 1 ? '' : `${position + 1} of ${tables.length}: `;
    const begun = performance.now();
    try {
      yield* maintain(kind, context, table, `${counted}${kind.title.toLowerCase()} ${table}`);
      const milliseconds = Math.round(performance.now() - begun);
      done.push({ table, milliseconds, deadRowsBefore: deadRows });
    } catch (error) {
      if (isCancelled()) break;
      if (!(error instanceof ConsoleError) || error.code !== 'lock_timeout') throw error;
      // The other tables are done all the same.
      skipped.push({ table, reason: 'locked by others' });
    }
  }
  const result = {
    done: await withFigures(context, done),
    remaining: tables
      .map(({ table }) => table)
      .filter((table) => !done.some((one) => one.table === table)),
  };
  if (done.length === 0 && skipped.length > 0) {
    throw new ConsoleError(
      'lock_timeout',
      `${kind.title}: others keep ${result.remaining.join(', ')} locked.`,
      {
        hint: 'The pane PostgreSQL shows who; try again later.',
      },
    );
  }
  const milliseconds = performance.now() - started;
  return {
    summary: summaryOf(kind, result, signal.aborted, milliseconds),
    cancelled: signal.aborted,
    result,
  };
}

/**
 * A pooler in between shares sessions: only a statement that may run in a transaction can go that way, and
 * nobody can cancel it without the risk of hitting the next one.
 */
async function* maintain(
  kind: Kind,
  context: ActionContext,
  table: string,
  phase: string,
): AsyncGenerator<Progress, void> {
  const { database } = context;
  const statement = statementOf(kind, database.capabilities.schema, table);
  if (database.capabilities.pooled) {
    yield { phase: `${phase} (behind a pooler there is no progress)` };
    const limits = { statementTimeoutMs: pooledTimeoutMs, lockTimeoutMs };
    await database.transaction(limits, (tx) => tx.query(statement));
    return;
  }
  const connection = await connectForMaintenance(database, lockTimeoutMs);
  try {
    yield* followStatement(context, connection, statement, {
      phase,
      readProgress: kind.readProgress,
    });
  } finally {
    await connection.close();
  }
}

/** Adds the figures after the run. They are only for information: that they cannot be read is no reason to fail. */
async function withFigures(
  { database }: ActionContext,
  done: readonly Omit<MaintainedTable, 'deadRowsAfter'>[],
): Promise<MaintainedTable[]> {
  const names = done.map(({ table }) => table);
  const after =
    names.length === 0
      ? []
      : await readChosenTables(database, '', { tables: names }).catch(() => []);
  return done.map((one) => ({
    ...one,
    deadRowsAfter: after.find(({ table }) => table === one.table)?.deadRows ?? one.deadRowsBefore,
  }));
}

function summaryOf(
  { done: verb, command }: Kind,
  { done, remaining }: MaintainTablesResult,
  cancelled: boolean,
  milliseconds: number,
): string {
  const [only] = done;
  const what = done.length === 1 && only ? only.table : counted(done.length, 'table');
  const dead = (of: (table: MaintainedTable) => number | null) =>
    withSeparators(done.reduce((sum, table) => sum + (of(table) ?? 0), 0));
  const rows =
    command === 'VACUUM' && done.every(({ deadRowsBefore }) => deadRowsBefore !== null)
      ? `: ${dead((table) => table.deadRowsBefore)} dead rows before, ${dead((table) => table.deadRowsAfter)} now`
      : '';
  const parts = [
    `${cancelled ? `Cancelled; ${verb.toLowerCase()}` : verb} ${what} in ${formatDuration(milliseconds)}${rows}`,
    ...(remaining.length > 0 ? [`not done: ${remaining.join(', ')}`] : []),
  ];
  return `${parts.join('; ')}.`;
}

function sumText(numbers: readonly (number | null)[], text: (sum: number) => string): string {
  const known = numbers.filter((one) => one !== null);
  return known.length < numbers.length
    ? 'not known here: the rows lie on workers of the Citus cluster'
    : text(known.reduce((sum, one) => sum + one, 0));
}

export const analyzeCommand: OfferCommand = {
  id: 'analyze',
  key: 'u',
  title: 'update planner statistics (ANALYZE) of the chosen table, or of all',
};

/** Updates planner statistics: of the tables of the schema, and of those of the console's own. */
export const analyze = maintainTables({
  id: 'analyze',
  title: 'Analyze',
  done: 'Analyzed',
  command: 'ANALYZE',
  requires: ['primary', 'vacuum'],
  offer: analyzeCommand,
  readProgress: readAnalyzeProgress,
  facts: (tables) => [
    {
      label: 'Changed',
      value: sumText(
        tables.map(({ changedSinceAnalyze }) => changedSinceAnalyze),
        (sum) => `${counted(sum, 'row')} since the last analyze`,
      ),
    },
    { label: 'Reads', value: 'a sample of 30,000 rows a table at most' },
  ],
});

export const vacuumCommand: OfferCommand = {
  id: 'vacuum',
  key: 'v',
  title: 'reclaim dead rows (VACUUM) of the chosen table, or of all',
};

/** Reclaims dead rows; the files keep their size, as a rule. */
export const vacuum = maintainTables({
  id: 'vacuum',
  title: 'Vacuum',
  done: 'Vacuumed',
  command: 'VACUUM',
  requires: ['primary', 'direct-connection', 'vacuum'],
  offer: vacuumCommand,
  readProgress: readVacuumProgress,
  facts: (tables) => [
    {
      label: 'Dead rows',
      value: sumText(
        tables.map(({ deadRows }) => deadRows),
        (sum) => `${withSeparators(sum)}, estimated`,
      ),
    },
    { label: 'Disk', value: 'the room is used again; the files seldom shrink' },
  ],
});

/** Which tables: these, or all of the schema's and their archives. */
type TablesInput = { tables?: readonly string[] };

/** Ours, as far as they exist. */
const ourTables: readonly string[] = [...coreTables, ...archivedTables.map(archiveOf)];

/** Null where the rows lie on workers: what this server knows is of an empty shell. */
type TableFigures = {
  table: string;
  bytes: number | null;
  rows: number | null;
  deadRows: number | null;
  changedSinceAnalyze: number | null;
};

type Row = TableFigures & { allowed: boolean };

/**
 * The tables that are meant, the smallest first, with what the statistics know of them.
 *
 * @throws ConsoleError when one is unknown, or the role may not maintain it: the server would only warn
 */
async function readChosenTables(
  database: Database,
  title: string,
  { tables }: TablesInput,
): Promise<TableFigures[]> {
  const { schema, serverVersion, user, citus } = database.capabilities;
  const names = tables ?? ourTables;
  const maintain = serverVersion >= 170_000 ? `OR has_table_privilege(c.oid, 'MAINTAIN')` : '';
  const rows = await database.read<Row>(
    `SELECT c.relname::text AS table, figures.*,
       pg_has_role(current_user, c.relowner, 'USAGE') ${maintain}
         OR (SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database
             WHERE datname = current_database()) AS allowed
     FROM pg_class AS c, LATERAL (
       SELECT sum(pg_table_size(one.oid))::bigint AS bytes,
         CASE WHEN bool_and(one.reltuples >= 0) THEN sum(one.reltuples)::bigint END AS rows,
         sum(pg_stat_get_dead_tuples(one.oid))::bigint AS "deadRows",
         sum(pg_stat_get_mod_since_analyze(one.oid))::bigint AS "changedSinceAnalyze"
       -- A partitioned table is its partitions.
       FROM pg_class AS one
       WHERE CASE c.relkind WHEN 'p'
         THEN one.oid IN (SELECT relid FROM pg_partition_tree(c.oid) WHERE isleaf) ELSE one.oid = c.oid END
     ) AS figures
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
       AND c.relkind IN ('r', 'm', 'p') AND c.relname = ANY ($2)
     ORDER BY bytes, c.relname`,
    [schema, [...names]],
  );
  const unknown = tables?.find((name) => !rows.some(({ table }) => table === name));
  if (unknown !== undefined || rows.length === 0) {
    throw new ConsoleError('not_found', `There is no table ${unknown ?? 'of ours'} in ${schema}.`, {
      hint: 'trace-console status --pane table-sizes lists them.',
    });
  }
  const refused = rows.filter(({ allowed }) => !allowed).map(({ table }) => table);
  if (refused.length > 0) {
    const grant = serverVersion >= 170_000 ? ' GRANT MAINTAIN on the table allows it, too.' : '';
    throw new ConsoleError(
      'privilege_missing',
      `${title}: refused, "${user}" does not own ${refused.join(', ')}.`,
      { hint: `${ownerHint}${grant}` },
    );
  }
  const unread = { bytes: null, rows: null, deadRows: null, changedSinceAnalyze: null };
  return rows.map((row) => (citus?.tables.includes(row.table) ? { ...row, ...unread } : row));
}

function subjectOf({ tables }: TablesInput): string {
  return tables === undefined ? 'all tables' : tables.join(', ');
}

/** The journal's JSON as input again. */
function readTablesInput(stored: unknown): TablesInput | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { tables } = stored as { tables?: unknown };
  if (tables === undefined) return {};
  const names = Array.isArray(tables) ? tables.filter((name) => typeof name === 'string') : [];
  return Array.isArray(tables) && names.length === tables.length ? { tables: names } : undefined;
}
