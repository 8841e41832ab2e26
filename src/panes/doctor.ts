import { severities, type Severity } from '../maintenance/doctor/check.js';
import { checks } from '../maintenance/doctor/checks.js';
import { runChecks, type CheckResult } from '../maintenance/doctor/run-checks.js';
import {
  usualLimits,
  type DetailQuery,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type SummaryLine,
  type Tone,
} from './pane.js';
import { serverNowStatement, type ServerNowRow } from './statements/server-now.js';

export type DoctorExtras = Record<Severity, number>;

const tones: Readonly<Record<Severity, Tone | undefined>> = {
  critical: 'error',
  warning: 'warning',
  advice: 'accent',
  good: 'success',
  skipped: 'muted',
};

class DoctorReader implements PaneReader<CheckResult, DoctorExtras> {
  async read(request: ReadRequest): Promise<PaneResult<CheckResult, DoctorExtras>> {
    const now = await request.transaction((tx) => tx.query<ServerNowRow>(serverNowStatement));
    const rows = await runChecks(request, checks);
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

function summaryOf(extras: DoctorExtras): SummaryLine[] {
  const found = severities.filter((severity) => extras[severity] > 0);
  return [
    found.map((severity) => {
      const tone = tones[severity];
      const text = `${extras[severity]} ${severity}`;
      return tone === undefined ? { text } : { text, tone };
    }),
  ];
}

/** Everything that is known already, as one row: nothing of the database is read again. */
function detailOf(row: CheckResult): DetailQuery {
  const fields: readonly (readonly [string, string | null])[] = [
    ['severity', row.severity],
    ['evidence', row.evidence],
    ...(row.items.length > 1 ? [['found', row.items.join('\n')] as const] : []),
    ['why it matters', row.why],
    ['how to mend it', row.mend],
    ['command', row.command],
    ['on its own', `trace-console doctor --check ${row.id}`],
  ];
  return {
    title: row.title,
    text: `SELECT ${fields.map(([name], index) => `$${index + 1}::text AS "${name}"`).join(', ')}`,
    values: fields.map(([, value]) => value),
  };
}

export const doctor: Pane<CheckResult, DoctorExtras> = {
  id: 'doctor',
  title: 'Doctor',
  question: 'What is wrong with the database, and how is it mended?',
  needs: {},
  windowed: false,
  minIntervalMs: 60_000,
  limits: usualLimits,
  columns: [
    {
      id: 'severity',
      title: 'severity',
      align: 'left',
      format: 'text',
      value: ({ severity }) => severity,
      tone: ({ severity }) => tones[severity],
      priority: 1,
      minWidth: 8,
      maxWidth: 8,
    },
    {
      id: 'title',
      title: 'check',
      align: 'left',
      format: 'text',
      value: ({ title }) => title,
      priority: 1,
      minWidth: 16,
      maxWidth: 29,
    },
    {
      id: 'evidence',
      title: 'evidence',
      align: 'left',
      format: 'text',
      value: ({ evidence }) => evidence,
      tone: ({ severity }) => (severity === 'good' || severity === 'skipped' ? 'muted' : undefined),
      priority: 2,
      minWidth: 30,
    },
    {
      id: 'command',
      title: 'to mend it',
      align: 'left',
      format: 'text',
      value: ({ command }) => command,
      tone: () => 'accent',
      priority: 3,
      minWidth: 24,
      maxWidth: 60,
    },
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
  detail: detailOf,
};
