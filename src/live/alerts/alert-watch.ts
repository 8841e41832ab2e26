import { cellOf } from '../../panes/contract/column.js';
import { parseFilter, type Filter } from '../../panes/contract/filter.js';
import type { AnyPane, PaneId } from '../../panes/registry.js';
import { looksBack } from '../../panes/contract/pane.js';
import { paneById } from '../../panes/registry.js';
import { defaultWindowMs } from '../../panes/reading/windows.js';
import type { LiveState, PaneSnapshot, Watch } from '../state.js';

/**
 * An alert rule: rows of a pane that match a filter, now and over the rule's window (default: an hour), whatever window, moment,
 * variant or grouping somebody looks at.
 */
export type AlertRule = { name: string; pane: PaneId; when: string; windowMs?: number };

/** A rule that holds now. */
export type Alert = {
  rule: string;
  pane: PaneId;
  /** What its rows match. */
  when: string;
  /** The identity of the first row that matches. */
  key: string;
  /** That row, and how many more there are. */
  what: string;
  /** Milliseconds since 1970, by this machine's clock. */
  since: number;
};

/** A rule that began to hold, or ceased to. */
export type AlertEvent = Alert & { kind: 'fired' | 'cleared'; at: number };

export type AlertState = { active: readonly Alert[]; history: readonly AlertEvent[] };

export const noAlerts: AlertState = { active: [], history: [] };

/** Of what has fired, in memory. */
const kept = 200;

type Watched = AlertRule & {
  definition: AnyPane;
  filter: Filter;
  /** Absent: nothing can be chosen of the pane, so that the screen shows what the rule is about. */
  watch: Watch | undefined;
  seen: PaneSnapshot | undefined;
};

function watchOf({ pane, windowMs = defaultWindowMs }: AlertRule): Watch | undefined {
  const { windowed, variants, groupings, asksFilter } = paneById(pane);
  if (!windowed && !variants && !groupings && !asksFilter) return undefined;
  return { key: windowed ? `alert ${pane} ${windowMs}` : `alert ${pane}`, pane, windowMs };
}

/**
 * Looks at each new reading of the panes that rules are about. A reading that failed changes nothing: what
 * cannot be seen has neither begun nor ended.
 */
export class AlertWatch {
  /** The panes that must be asked although nobody looks at them, and those that must be asked besides. */
  readonly panes: readonly PaneId[];
  readonly watches: readonly Watch[];
  readonly #rules: Watched[];
  #state = noAlerts;

  /** @throws Error for a rule whose filter cannot be read; {@link checkRule} says why before. */
  constructor(rules: readonly AlertRule[]) {
    this.panes = [...new Set(rules.filter((rule) => !watchOf(rule)).map(({ pane }) => pane))];
    const watches = rules.flatMap((rule) => watchOf(rule) ?? []);
    this.watches = [...new Map(watches.map((watch) => [watch.key, watch])).values()];
    this.#rules = rules.map((rule) => {
      const definition = paneById(rule.pane);
      const parsed = parseFilter(rule.when, definition);
      if ('error' in parsed || !parsed.filter)
        throw new Error(`the alert ${rule.name} is no filter`);
      return {
        ...rule,
        definition,
        filter: parsed.filter,
        watch: watchOf(rule),
        seen: undefined,
      };
    });
  }

  get state(): AlertState {
    return this.#state;
  }

  /** @returns what has begun with this state */
  see(live: LiveState, wallMs: number): readonly Alert[] {
    return this.#rules.flatMap((rule) => {
      const snapshot = snapshotOf(rule, live);
      if (!snapshot || snapshot === rule.seen) return [];
      if (snapshot.error || snapshot.loading || !snapshot.asOf) return [];
      // Rows of the past, or of a filter, are what the user looks up: no alert.
      if (snapshot.untilMs !== undefined || snapshot.filter !== undefined) return [];
      rule.seen = snapshot;
      return this.#judge(rule, snapshot, wallMs);
    });
  }

  #judge(rule: Watched, { rows, asOf }: PaneSnapshot, at: number): Alert[] {
    const context = { nowMs: asOf?.getTime() ?? at };
    const matching = rows.filter((row) => rule.filter.matches(row, context));
    const before = this.#state.active.find((alert) => alert.rule === rule.name);
    const [first] = matching;
    const others = this.#state.active.filter((alert) => alert !== before);
    if (!first) {
      if (before) this.#change(others, { ...before, kind: 'cleared', at });
      return [];
    }
    const more = matching.length > 1 ? ` and ${matching.length - 1} more` : '';
    const what = `${describe(rule.definition, first, context)}${more}`;
    const { name, pane, when, definition } = rule;
    const key = definition.rowKey(first);
    const alert = { rule: name, pane, when, key, what, since: before?.since ?? at };
    if (before) {
      if (before.what !== what || before.key !== key)
        this.#state = { ...this.#state, active: [...others, alert] };
      return [];
    }
    this.#change([...others, alert], { ...alert, kind: 'fired', at });
    return [alert];
  }

  #change(active: readonly Alert[], event: AlertEvent): void {
    this.#state = { active, history: [event, ...this.#state.history].slice(0, kept) };
  }
}

/** A recording has what was shown only. */
function snapshotOf({ pane, watch }: Watched, live: LiveState): PaneSnapshot | undefined {
  return watch && live.watched ? live.watched.get(watch.key) : live.panes[pane];
}

/** What is wrong with a rule; undefined when it can be watched. */
export function checkRule({ pane, when }: AlertRule): string | undefined {
  const parsed = parseFilter(when, paneById(pane));
  if ('error' in parsed) return parsed.error;
  return parsed.filter ? undefined : 'needs a filter';
}

/** Characters of what a rule found. */
const longest = 200;

/** The columns that are always shown: `quality-gate Edit p95 5.20s`. */
function describe({ columns }: AnyPane, row: object, context: { nowMs: number }): string {
  const text = columns
    .filter(({ priority }) => priority <= 2)
    .map((column) => {
      const cell = cellOf(column, row, context).text;
      return column.format === 'text' ? cell : `${column.title} ${cell}`;
    })
    .join(' ');
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}

/** What to watch, and how to tell of it besides the header's badge. */
export type AlertSettings = { rules: readonly AlertRule[]; bell: boolean; desktop: boolean };

const noSettings: AlertSettings = { rules: [], bell: false, desktop: false };

/** Watches what comes in, and tells once when something begins. */
export class Alerting {
  #watch: AlertWatch;
  readonly #settings: AlertSettings;
  readonly #notify: (text: string, how: { bell: boolean; desktop: boolean }) => void;

  constructor(
    settings: AlertSettings | undefined = noSettings,
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

  get watches() {
    return this.#watch.watches;
  }

  get rules(): readonly AlertRule[] {
    return this.#settings.rules;
  }

  /** Rows of the past raise no alert: while a recording shows them, rules about panes that look back are paused. */
  isPaused({ untilMs, watched }: LiveState): boolean {
    if (untilMs === undefined || watched) return false;
    return this.rules.some(({ pane }) => looksBack(paneById(pane)));
  }

  see(live: LiveState, wallMs: number): void {
    for (const { rule, what } of this.#watch.see(live, wallMs)) {
      this.#notify(`trace-console: ${rule}: ${what}`, this.#settings);
    }
  }
}
