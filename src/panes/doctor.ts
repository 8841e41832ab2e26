import { counted } from '../core/format/number.js';
import { textColumn, type SummaryLine, type Tone } from './contract/column.js';
import {
  printedCommand,
  severities,
  stuckTracesId,
  type Severity,
} from '../maintenance/doctor/check.js';
import type { CheckResult } from '../maintenance/doctor/checks.js';
import type { CommandTarget } from '../db/connection/command-flags.js';
import {
  usualLimits,
  type DetailQuery,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './contract/pane.js';
import type { Opening, RecordRow } from './contract/opening.js';
import { stuckTracesOpening } from './trace/traces-listed.js';
import { serverNowStatement, type ServerNowRow } from './reading/windows.js';

/** Its commands as lines for a shell, on the connection they were found on. */
export type DoctorRow = CheckResult & {
  /** Looks at this check alone; recordings of earlier consoles do not have it. */
  again?: string;
};

export type DoctorExtras = Record<Severity, number>;

const tones: Readonly<Record<Severity, Tone | undefined>> = {
  critical: 'error',
  warning: 'warning',
  advice: 'accent',
  good: 'success',
  skipped: 'muted',
};

class DoctorReader implements PaneReader<DoctorRow, DoctorExtras> {
  async read(request: ReadRequest): Promise<PaneResult<DoctorRow, DoctorExtras>> {
    const now = await request.transaction((tx) => tx.query<ServerNowRow>(serverNowStatement));
    // Loaded when the pane is asked: the checks are as much code as all other panes.
    const { checks, runChecks } = await import('../maintenance/doctor/checks.js');
    const found = await runChecks(request, checks);
    const rows = found.map((row) => printed(row, request.database));
    const of = (severity: Severity) => rows.filter((row) => row.severity === severity).length;
    return {
      rows,
      extras: {
        critical: of('critical'),
        warning: of('warning'),
        advice: of('advice'),
        good: of('good'),
        skipped: of('skipped'),
      },
      asOf: new Date(now.rows[0]?.now_ms ?? Date.now()),
      notes: [],
    };
  }
}

function printed(row: CheckResult, database: CommandTarget): DoctorRow {
  const { id, commands } = row;
  return {
    ...row,
    command: commands.length === 0 ? null : printedCommand(commands, database),
    again: printedCommand([`trace-console doctor --check ${id}`], database),
  };
}

/** The fix in short, for the column; SQL without the shell command that runs it. */
function fixOf({ command, commands }: DoctorRow): string | null {
  if (commands[0]?.startsWith('trace-console ')) return command;
  return commands.length === 0 ? null : commands.join(' ');
}

function summaryOf(extras: DoctorExtras): SummaryLine[] {
  const found = severities.filter((severity) => extras[severity] > 0);
  return [
    found.map((severity) => {
      const tone = tones[severity];
      const count = extras[severity];
      const text = severity === 'warning' ? counted(count, severity) : `${count} ${severity}`;
      return tone === undefined ? { text } : { text, tone };
    }),
  ];
}

/** Where a check leads to, and how that is called. */
const leadsTo: ReadonlyMap<string, { text: string; opening: Opening }> = new Map([
  [stuckTracesId, { text: 'Enter lists exactly these traces', opening: stuckTracesOpening }],
]);

function openingOf(row: DoctorRow): DetailQuery | Opening {
  const detail = detailOf(row);
  const isFound = row.severity !== 'good' && row.severity !== 'skipped';
  const target = isFound ? leadsTo.get(row.id) : undefined;
  const { inConsole } = row;
  if (!target && typeof inConsole !== 'string') return detail;
  return {
    title: detail.title,
    async read({ read }) {
      const rows = await read<RecordRow>(detail.text, detail.values);
      return {
        kind: 'records',
        title: detail.title,
        rows,
        sections: [
          ...(target
            ? [
                {
                  title: 'Where',
                  lines: [[{ text: target.text, tone: 'accent' }]],
                  open: () => target.opening,
                } as const,
              ]
            : []),
          ...(typeof inConsole === 'string'
            ? [
                {
                  title: 'In the console',
                  lines: [[{ text: inConsole, tone: 'accent', namesCommands: true }]],
                } as const,
              ]
            : []),
        ],
      };
    },
  };
}

/** Everything that is known already, as one row: nothing of the database is read again. */
function detailOf(row: DoctorRow): DetailQuery {
  const fields: readonly (readonly [string, string | null])[] = [
    ['severity', row.severity],
    ['evidence', row.evidence],
    ...(row.items.length > 1 ? [['found', row.items.join('\n')] as const] : []),
    ['why it matters', row.why],
    ['how to fix it', row.fix],
    ['command', row.command],
    ...(row.again === undefined ? [] : [['on its own', row.again] as const]),
  ];
  return {
    title: row.title,
    text: `SELECT ${fields.map(([name], index) => `$${index + 1}::text AS "${name}"`).join(', ')}`,
    values: fields.map(([, value]) => value),
  };
}

export const doctor: Pane<DoctorRow, DoctorExtras, 'doctor'> = {
  id: 'doctor',
  title: 'Doctor',
  question: 'What is wrong with the database, and how is it fixed?',
  needs: {},
  windowed: false,
  minIntervalMs: 60_000,
  limits: usualLimits,
  columns: [
    textColumn({
      id: 'severity',
      title: 'severity',
      value: ({ severity }) => severity,
      tone: ({ severity }) => tones[severity],
      priority: 1,
      minWidth: 8,
      maxWidth: 8,
    }),
    textColumn({
      id: 'title',
      title: 'check',
      value: ({ title }) => title,
      priority: 1,
      minWidth: 16,
      maxWidth: 29,
      prefersWhole: true,
    }),
    textColumn({
      id: 'evidence',
      title: 'evidence',
      value: ({ evidence }) => evidence,
      tone: ({ severity }) => (severity === 'good' || severity === 'skipped' ? 'muted' : undefined),
      priority: 2,
      minWidth: 30,
    }),
    textColumn({
      id: 'command',
      title: 'fix',
      value: fixOf,
      tone: () => 'accent',
      priority: 3,
      minWidth: 24,
      maxWidth: 60,
    }),
  ],
  sorts: [
    {
      id: 'severity',
      title: 'the worst',
      direction: 'desc',
      value: ({ severity }) => severities.length - severities.indexOf(severity),
    },
    { id: 'title', title: 'check', direction: 'asc', value: ({ title }) => title },
  ],
  rowKey: ({ id }) => id,
  idOf: ({ id }) => id,
  empty: 'Nothing was looked at yet.',
  createReader: () => new DoctorReader(),
  summary: ({ extras }) => summaryOf(extras),
  detail: openingOf,
};
