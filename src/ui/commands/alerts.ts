import type { Alert, AlertEvent } from '../../live/alerts/alert-watch.js';
import { memoryList, type MemoryList } from '../../panes/contract/listing.js';
import type { DetailAccess, PaneRows } from '../../panes/contract/opening.js';
import type { Column } from '../../panes/contract/column.js';
import { paneById } from '../../panes/registry.js';
import { formatTimestamp } from '../../core/format/time.js';
import { counted } from '../../core/format/number.js';
import type { Command, Context } from '../context.js';
import { openRow } from './open.js';

/** What the rules of the config file have found. */
export const alerts: Command = {
  id: 'alerts',
  keys: ['!'],
  title: `the alerts: what fired, and when; :${openRow.id} on one leads to its rows`,
  needsDatabase: true,
  run(context) {
    const title = 'Alerts: what fired, and when';
    const read = ({ list }: DetailAccess) =>
      Promise.resolve(memoryList(listOf(context, title), list));
    context.drilldowns.open({ title, read });
  },
  unavailable: (context) =>
    context.alerts.rules.length > 0
      ? undefined
      : 'No alert is set; docs/configuration.md says how: [alerts.rules.NAME]',
};

function listOf({ alerts: report, model }: Context, title: string): MemoryList<AlertEvent> {
  const { active, history } = report.state;
  return {
    title,
    columns,
    rows: history,
    rowKey: ({ at, rule, kind }) => `${at} ${rule} ${kind}`,
    summary: [
      { text: `${active.length} of ${counted(report.rules.length, 'rule')} firing`, tone: 'muted' },
      ...(model.live && report.isPaused(model.live)
        ? [{ text: 'paused while a moment in the past is shown', tone: 'warning' as const }]
        : []),
      ...active.map(({ rule }) => ({ text: rule, tone: 'error' as const })),
    ],
    empty: 'Nothing has fired since the console was opened',
    asOf: new Date(),
    open: (event) => ({
      title: event.rule,
      read: () => Promise.resolve({ kind: 'records', title: event.rule, rows: [recordOf(event)] }),
      leadsTo: rowsOf(
        event,
        active.find(({ rule }) => rule === event.rule),
      ),
    }),
    copy: ({ rule, what }) => `${rule}: ${what}`,
  };
}

/** While a rule holds, all rows that match it; afterwards the first row that matched. */
function rowsOf({ pane, key }: AlertEvent, now: Alert | undefined): PaneRows {
  return now ? { pane, filter: now.when, key: now.key } : { pane, filter: '', key };
}

function recordOf({ kind, rule, pane, what, since, at }: AlertEvent) {
  return {
    rule,
    state: kind,
    at: formatTimestamp(new Date(at)),
    since: formatTimestamp(new Date(since)),
    pane: paneById(pane).title,
    what,
  };
}

const columns: readonly Column<AlertEvent>[] = [
  {
    id: 'at',
    title: 'time',
    align: 'left',
    format: 'timestamp',
    value: ({ at }) => new Date(at),
    priority: 1,
    minWidth: 19,
    maxWidth: 19,
  },
  {
    id: 'state',
    title: 'state',
    align: 'left',
    format: 'text',
    value: ({ kind }) => kind,
    tone: ({ kind }) => (kind === 'fired' ? 'error' : 'success'),
    priority: 1,
    minWidth: 7,
    maxWidth: 7,
  },
  {
    id: 'rule',
    title: 'rule',
    align: 'left',
    format: 'text',
    value: ({ rule }) => rule,
    priority: 1,
    minWidth: 10,
    maxWidth: 24,
  },
  {
    id: 'what',
    title: 'what',
    align: 'left',
    format: 'text',
    value: ({ what }) => what,
    priority: 1,
    minWidth: 16,
  },
];
