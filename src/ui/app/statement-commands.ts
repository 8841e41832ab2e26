import type { Database } from '../../db/database.js';
import type { LoggedStatement } from '../../db/statement-log.js';
import { erasedList, type OpenedList, type RecordRow } from '../../panes/opening.js';
import { usualLimits, type Column, type PaneLimits } from '../../panes/pane.js';
import { formatDuration } from '../../shared/format/duration.js';
import { withSeparators } from '../../shared/format/number.js';
import { formatTimestamp } from '../../shared/format/time.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';
import { whyOffline } from './offline.js';

const mostLogged = 500;

function whyNoDatabase(app: ConsoleApp): string | undefined {
  return app.database ? undefined : whyOffline(app);
}

/** The panes' statements behind what is shown, and everything the console has run. */
export const statementCommands = {
  sql: {
    run(app) {
      const { database, focusedPane: pane } = app;
      if (!database) return;
      const title = `SQL of ${pane.title}`;
      app.openings.open({
        title,
        read: async () => {
          const statements = database.statements.lastFor(pane.id);
          return {
            kind: 'records',
            title,
            rows: await readPlans(database, pane.limits, statements),
          };
        },
      });
    },
    unavailable(app) {
      const { database, focusedPane: pane } = app;
      if (!database) return whyNoDatabase(app);
      const asked = database.statements.lastFor(pane.id).length > 0;
      return asked ? undefined : `${pane.title} has not asked anything lately`;
    },
  },
  log: {
    run(app) {
      const { database } = app;
      if (!database) return;
      const title = 'Statements that were run, newest first';
      app.openings.open({
        title,
        read: () => Promise.resolve(erasedList(logOf(database, title))),
      });
    },
    unavailable: whyNoDatabase,
  },
} as const satisfies Record<string, Command>;

function logOf(database: Database, title: string): OpenedList<LoggedStatement> {
  const rows = [...database.statements.entries].reverse().slice(0, mostLogged);
  const totalMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  return {
    kind: 'list',
    title,
    columns: logColumns,
    rows,
    rowKey: (row) => `${row.startedAt} ${row.ms} ${row.text}`,
    summary: [{ text: `${rows.length} statements, ${formatDuration(totalMs)} together` }],
    empty: 'Nothing was asked yet',
    asOf: new Date(),
    open: (row) => ({
      title: 'A statement',
      read: async () => ({
        kind: 'records',
        title: `A statement of ${formatTimestamp(new Date(row.startedAt))}`,
        rows: await readPlans(database, usualLimits, [row]),
      }),
    }),
    copy: ({ text }) => text.trim(),
  };
}

const logColumns: readonly Column<LoggedStatement>[] = [
  {
    id: 'at',
    title: 'time',
    align: 'left',
    format: 'clock',
    value: ({ startedAt }) => new Date(startedAt),
    priority: 1,
    minWidth: 8,
    maxWidth: 8,
  },
  {
    id: 'purpose',
    title: 'for',
    align: 'left',
    format: 'text',
    value: ({ purpose }) => purpose ?? null,
    priority: 2,
    minWidth: 10,
    maxWidth: 16,
  },
  {
    id: 'took',
    title: 'took',
    align: 'right',
    format: 'duration',
    value: ({ ms }) => ms,
    priority: 1,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'rows',
    title: 'rows',
    align: 'right',
    format: 'count',
    value: ({ rows }) => rows,
    priority: 2,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'statement',
    title: 'statement',
    align: 'left',
    format: 'text',
    value: ({ failure, text }) => [failure, text.trim()].filter(Boolean).join(': '),
    tone: ({ failure }) => (failure === undefined ? undefined : 'error'),
    priority: 1,
    minWidth: 20,
  },
];

function outcomeOf({ ms, rows, failure }: LoggedStatement): RecordRow {
  return {
    took: formatDuration(ms),
    ...(failure === undefined ? { rows: withSeparators(rows ?? 0) } : { failed: failure }),
  };
}

/** Each statement with the plan that it has now: EXPLAIN, which does not run it. */
async function readPlans(
  database: Database,
  limits: PaneLimits,
  statements: readonly LoggedStatement[],
): Promise<RecordRow[]> {
  const rows: RecordRow[] = [];
  for (const statement of statements) {
    const { text, values } = statement;
    rows.push({
      statement: text.trim(),
      ...(values.length > 0 ? { values } : {}),
      ...outcomeOf(statement),
      plan: await planOf(database, limits, statement),
    });
  }
  return rows;
}

async function planOf(
  database: Database,
  limits: PaneLimits,
  { text, values }: LoggedStatement,
): Promise<string> {
  try {
    const lines = await database.read<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, values, {
      ...limits,
      purpose: 'plan',
    });
    return lines.map((line) => line['QUERY PLAN']).join('\n');
  } catch (error) {
    return `no plan: ${error instanceof Error ? error.message : String(error)}`;
  }
}
