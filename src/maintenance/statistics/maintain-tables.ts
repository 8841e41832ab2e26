import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import { formatBytes } from '../../shared/format/bytes.js';
import { formatDuration } from '../../shared/format/duration.js';
import { withSeparators } from '../../shared/format/number.js';
import type { Action, ActionContext, Outcome, Progress, Requirement } from '../action.js';
import { followStatement, type FollowOptions } from '../follow-statement.js';
import { connectForMaintenance } from '../maintenance-connection.js';
import {
  ourTables,
  readChosenTables,
  readTablesInput,
  subjectOf,
  type TableFigures,
  type TablesInput,
} from './chosen-tables.js';

export type MaintainedTable = {
  table: string;
  milliseconds: number;
  /** Estimates of the server, which come a moment late. */
  deadRowsBefore: number;
  deadRowsAfter: number;
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
export function maintainTables(kind: Kind): Action<TablesInput, MaintainTablesResult> {
  return {
    id: kind.id,
    title: kind.title,
    requires: kind.requires,
    subject: subjectOf,
    readInput: readTablesInput,
    tables: ({ tables }) => tables ?? ourTables,
    preview: async ({ database }, input) => {
      const tables = await readChosenTables(database, kind.title, input);
      const [only] = tables;
      return {
        title: `${kind.title} ${tables.length === 1 && only ? only.table : `${tables.length} tables`}`,
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
      const known = rows === null ? 'rows not counted yet' : `${withSeparators(rows)} rows`;
      return `${table}  ${formatBytes(bytes)}, ${known}, ${withSeparators(deadRows)} dead, ${withSeparators(changedSinceAnalyze)} changed since the last analyze`;
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
      // The others need it all the same.
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
        hint: 'The pane "sessions" shows who; try again later.',
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

/** The figures are better than the statement itself, and no reason to fail. */
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
  const what = done.length === 1 && only ? only.table : `${done.length} tables`;
  const dead = (of: (table: MaintainedTable) => number) =>
    withSeparators(done.reduce((sum, table) => sum + of(table), 0));
  const rows =
    command === 'VACUUM'
      ? `: ${dead((table) => table.deadRowsBefore)} dead rows before, ${dead((table) => table.deadRowsAfter)} now`
      : '';
  const parts = [
    `${cancelled ? `Cancelled; ${verb.toLowerCase()}` : verb} ${what} in ${formatDuration(milliseconds)}${rows}`,
    ...(remaining.length > 0 ? [`not done: ${remaining.join(', ')}`] : []),
  ];
  return `${parts.join('; ')}.`;
}
