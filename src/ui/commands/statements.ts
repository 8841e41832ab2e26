import type { Database } from '../../db/database.js';
import { failureOf } from '../../db/errors.js';
import type { LoggedStatement } from '../../db/statement-log.js';
import { memoryList, type MemoryList } from '../../panes/contract/listing.js';
import type { DetailAccess, RecordRow } from '../../panes/contract/opening.js';
import { usualLimits, type PaneLimits } from '../../panes/contract/pane.js';
import type { Column } from '../../panes/contract/column.js';
import { formatDuration, formatTimestamp } from '../../core/format/time.js';
import { counted, withSeparators } from '../../core/format/number.js';
import type { Command, Context } from '../context.js';
import { whyOffline } from './kinds.js';

function whyNoDatabase(context: Context): string | undefined {
  return context.database ? undefined : whyOffline(context);
}

/** What the focused pane asks its database. */
export const sql: Command = {
  id: 'sql',
  keys: ['Q'],
  title: 'the SQL behind the pane, what it took, and its plan',
  needsDatabase: true,
  run(context) {
    const { database } = context;
    const { pane } = context.focus;
    if (!database) return;
    const title = `SQL of ${pane.title}`;
    context.drilldowns.open({
      title,
      async read() {
        const statements = database.statements.lastFor(pane.id);
        const rows = await readPlans(database, pane.limits, statements);
        return { kind: 'records', title, rows };
      },
    });
  },
  unavailable(context) {
    const { database } = context;
    const { pane } = context.focus;
    if (!database) return whyNoDatabase(context);
    const isAsked = database.statements.lastFor(pane.id).length > 0;
    return isAsked ? undefined : `${pane.title} has not asked anything lately`;
  },
};

/** Everything the console has asked. */
export const log: Command = {
  id: 'log',
  keys: ['L'],
  title: 'the statements that the console ran, with their times',
  needsDatabase: true,
  run(context) {
    const { database } = context;
    if (!database) return;
    const title = 'Statements that were run, newest first';
    const read = ({ list }: DetailAccess) =>
      Promise.resolve(memoryList(logOf(database, title), list));
    context.drilldowns.open({ title, read });
  },
  unavailable: whyNoDatabase,
};

function logOf(database: Database, title: string): MemoryList<LoggedStatement> {
  const rows = [...database.statements.entries].reverse();
  const totalMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  return {
    title,
    columns: logColumns,
    rows,
    rowKey: (row) => `${row.startedAt} ${row.ms} ${row.text}`,
    summary: [
      { text: `${counted(rows.length, 'statement')}, ${formatDuration(totalMs)} together` },
      ...(rows.length < database.statements.ran
        ? [
            {
              text: `the newest of ${withSeparators(database.statements.ran)} that were run; older ones are not kept`,
              tone: 'muted' as const,
            },
          ]
        : []),
    ],
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
    maxWidth: 14,
    isWhole: true,
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
  { text, values, isCut }: LoggedStatement,
): Promise<string> {
  if (isCut) return 'no plan: not all of its values are kept';
  try {
    const lines = await database.read<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, values, {
      ...limits,
      purpose: 'plan',
    });
    return lines.map((line) => line['QUERY PLAN']).join('\n');
  } catch (error) {
    return `no plan: ${failureOf(error).message}`;
  }
}
