import { AlertWatch, type AlertEvent, type AlertRule } from '../../live/alerts/alert-watch.js';
import type { LiveState } from '../../live/state.js';
import { erasedList, type OpenedList } from '../../panes/opening.js';
import { looksBack, type Column } from '../../panes/pane.js';
import { paneById } from '../../panes/registry.js';
import { formatTimestamp } from '../../shared/format/time.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';

/** What to watch, and how to tell of it besides the header's badge. */
export type AlertSettings = { rules: readonly AlertRule[]; bell: boolean; desktop: boolean };

export const noAlertSettings: AlertSettings = { rules: [], bell: false, desktop: false };

/** Watches what comes in, and tells once when something begins. */
export class Alerting {
  #watch: AlertWatch;
  readonly #settings: AlertSettings;
  readonly #notify: (text: string, how: { bell: boolean; desktop: boolean }) => void;

  constructor(
    settings: AlertSettings,
    notify: (text: string, how: { bell: boolean; desktop: boolean }) => void,
  ) {
    this.#watch = new AlertWatch(settings.rules);
    this.#settings = settings;
    this.#notify = notify;
  }

  /** On another database nothing has fired yet. */
  restart(): void {
    this.#watch = new AlertWatch(this.#settings.rules);
  }

  get state() {
    return this.#watch.state;
  }

  get panes() {
    return this.#watch.panes;
  }

  get count(): number {
    return this.#settings.rules.length;
  }

  /** What the reader looks up in the past is no news: rules about panes that show it wait for now. */
  isPaused({ untilMs }: LiveState): boolean {
    return untilMs !== undefined && this.panes.some((id) => looksBack(paneById(id)));
  }

  see(live: LiveState, wallMs: number): void {
    for (const { rule, what } of this.#watch.see(live, wallMs)) {
      this.#notify(`trace-console: ${rule}: ${what}`, this.#settings);
    }
  }
}

export const alertCommands = {
  alerts: {
    run(app) {
      const title = 'Alerts: what fired, and when';
      app.openings.open({ title, read: () => Promise.resolve(erasedList(listOf(app, title))) });
    },
    unavailable({ alerting }) {
      return alerting.count > 0
        ? undefined
        : 'No alert is set; docs/configuration.md says how: [alerts.rules.NAME]';
    },
  },
} as const satisfies Record<string, Command>;

function listOf({ alerting, model }: ConsoleApp, title: string): OpenedList<AlertEvent> {
  const { active, history } = alerting.state;
  return {
    kind: 'list',
    title,
    columns,
    rows: history,
    rowKey: ({ at, rule, kind }) => `${at} ${rule} ${kind}`,
    summary: [
      { text: `${active.length} of ${alerting.count} rules hold now`, tone: 'muted' },
      ...(model.live && alerting.isPaused(model.live)
        ? [{ text: 'paused while a moment in the past is shown', tone: 'warning' as const }]
        : []),
      ...active.map(({ rule }) => ({ text: rule, tone: 'error' as const })),
    ],
    empty: 'Nothing has fired since the console was opened',
    asOf: new Date(),
    open: (event) => ({
      title: event.rule,
      read: () => Promise.resolve({ kind: 'records', title: event.rule, rows: [recordOf(event)] }),
    }),
    copy: ({ rule, what }) => `${rule}: ${what}`,
  };
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
