import { setTimeout as sleep } from 'node:timers/promises';
import { parseMoment } from '../../core/format/time.js';
import { readNumber } from '../../core/values.js';
import type { Database } from '../../db/database.js';
import { didYouMean } from '../../core/nearest.js';
import { ConsoleError, type ExitCode, exitCodes } from '../../db/errors.js';
import { systemClock } from '../../core/clock.js';
import { CostMeter, PaneFeed } from '../../live/pane-feed.js';
import type { PaneSnapshot } from '../../live/state.js';
import { inStartOrder } from '../../panes/contract/pane.js';
import { readShape } from '../../panes/contract/shape.js';
import {
  defaultStuckAfterMs,
  defaultWindowMs,
  type ServerNowRow,
  serverNowStatement,
} from '../../panes/reading/windows.js';
import { type AnyPane, overviewPaneIds, paneById, paneIds, panes } from '../../panes/registry.js';
import { offersDemo } from '../../demo/index.js';
import { defineCommand, parseAge, parseWindow } from '../command.js';
import { safeJson } from '../safe-text.js';

export type StatusOptions = {
  windowMs: number;
  stuckAfterMs: number;
  budgetUsdPerDay?: number | undefined;
  /** Of the panes that have it. */
  grouping?: string | undefined;
  /** Where the windows end, milliseconds since 1970; absent: now. */
  untilMs?: number | undefined;
};

/** So many panes are read at the same time where each is read once; again and again, one after the other, as a guest does. */
const atOnce = 3;

/** Reads panes once or again and again, without a schedule: for reports. */
export class StatusReader {
  readonly #database: Database;
  readonly #feeds: readonly PaneFeed[];
  readonly #options: StatusOptions & { exact: boolean };

  /** @param exact counts every row each time; else what was kept from the reading before is used */
  constructor(
    database: Database,
    panes: readonly AnyPane[],
    options: StatusOptions & { exact: boolean },
  ) {
    const meter = new CostMeter(database);
    this.#database = database;
    this.#options = options;
    this.#feeds = panes.map((pane) => {
      const feed = new PaneFeed(pane, database, systemClock, meter);
      feed.exact = options.exact;
      feed.setUntil(options.untilMs);
      if (options.grouping !== undefined) feed.setGrouping(options.grouping);
      return feed;
    });
  }

  /**
   * Every pane, each whole; one that fails has its error in its snapshot.
   *
   * @throws ConsoleError when not even the catalogue can be read.
   */
  async read(): Promise<readonly { pane: AnyPane; snapshot: PaneSnapshot }[]> {
    const shape = await readShape(this.#database);
    const waiting = inStartOrder(this.#feeds, ({ pane }) => pane);
    const readNext = async () => {
      for (let feed = waiting.shift(); feed; feed = waiting.shift()) {
        let snapshot: PaneSnapshot;
        do {
          ({ snapshot } = await feed.read({ ...this.#options, shape }));
        } while (snapshot.error === null && snapshot.loading !== null);
      }
    };
    await Promise.all(Array.from({ length: this.#options.exact ? atOnce : 1 }, readNext));
    return this.#feeds.map(({ pane, snapshot }) => ({ pane, snapshot }));
  }
}

export const command = defineCommand({
  name: 'status',
  asksAtOnce: atOnce,
  summary: 'print the panes of the console once, as tables or JSON',
  usage:
    '[--pane ID … | --all] [--window 1h] [--group NAME] [--at MOMENT | --watch [SECONDS]] [--json]',
  description: [
    'Figures are exact. Exit code 0 when every pane could be read, 1 when one could not: it says why,',
    'and the others are printed.',
    '',
    `Panes: ${overviewPaneIds.join(', ')};`,
    `on request also: ${paneIds.filter((id) => !overviewPaneIds.includes(id)).join(', ')}.`,
    '',
    'With --at the windows end at that moment in the past: 14:05 (the last time it was that),',
    '"2026-11-24 14:05", "yesterday 14:05", "2h ago"; in local time, or with UTC, Z or +01:00 behind it. What',
    'has become of the traces of then is as it is now. Panes that cannot look back say that they show now.',
    '',
    'With --json: {"database": {…}, "at": null, "panes": {ID: {"asOf", "costMs", "rows": […], "notes", "error"}}};',
    'recent-traces has "series", "running" and "stuck" as well. With --watch, one such object a line.',
  ].join('\n'),
  flags: {
    pane: {
      type: 'string',
      value: 'ID',
      multiple: true,
      description: 'only this pane; repeatable',
      values: () => Promise.resolve(paneIds),
    },
    all: { type: 'boolean', description: 'every pane, not only those of the overview' },
    window: { type: 'string', value: 'TIME', description: 'for example 15m, 1h, 7d; default 1h' },
    stuckAfter: {
      type: 'string',
      value: 'TIME',
      description: 'a trace in progress for longer is stuck; default 30m',
    },
    at: {
      type: 'string',
      value: 'MOMENT',
      description: 'where the windows end, for example "2026-11-24 14:05" or "2h ago"; default now',
    },
    group: {
      type: 'string',
      value: 'NAME',
      description: 'what the rows of a pane with groupings are, for example project (usage)',
    },
    watch: {
      type: 'string',
      value: '[SECONDS]',
      description: 'print again every so many seconds (default 2) until interrupted',
    },
  },
  examples: [
    'trace-console status --pane slow-hooks --window 15m',
    'trace-console status --pane usage --group project --window 7d',
    'trace-console status --json | jq \'.panes["recent-traces"].stuck\'',
  ],
  async run(context) {
    const { flags, openDatabase, print } = context;
    const chosen = chosenPanes(flags.pane, flags.all);
    const windowMs =
      (flags.window === undefined ? context.settings.windowMs : parseWindow(flags.window)) ??
      defaultWindowMs;
    const stuckAfterMs = timeOf(flags.stuckAfter, '--stuck-after') ?? defaultStuckAfterMs;
    const everyMs = watchInterval(flags.watch);
    if (flags.at !== undefined && everyMs !== undefined) {
      throw new ConsoleError('usage', 'Either --at or --watch: the past does not change.');
    }
    momentOf(flags.at, Date.now());
    const database = await openDatabase();
    const untilMs =
      flags.at === undefined ? undefined : momentOf(flags.at, await serverNow(database));
    checkGrouping(chosen, flags.group);
    const exact = everyMs === undefined;
    const reader = new StatusReader(database, chosen, {
      ...{ windowMs, untilMs, stuckAfterMs, exact },
      budgetUsdPerDay: context.settings.budgetUsdPerDay,
      grouping: flags.group,
    });
    const printOnce = () =>
      printStatus(database, reader, print, {
        at: untilMs === undefined ? null : new Date(untilMs),
        windowMs,
        hint: context.hint,
        json: flags.json,
        oneLine: !exact,
        all: flags.pane.length === 0,
      });
    if (everyMs === undefined) return printOnce();
    const { signal } = context;
    for (;;) {
      await printOnce();
      if (!(await waits(everyMs, signal))) return exitCodes.good;
      if (!flags.json) print('');
    }
  },
});

function chosenPanes(named: readonly string[], all: boolean): readonly AnyPane[] {
  if (all) {
    if (named.length > 0) throw new ConsoleError('usage', 'Either --pane or --all.');
    return panes;
  }
  return (named.length > 0 ? named : overviewPaneIds).map((id) => paneById(id));
}

/** @throws ConsoleError `usage` where no chosen pane has the grouping */
function checkGrouping(chosen: readonly AnyPane[], grouping: string | undefined): void {
  const known = chosen.flatMap(({ groupings = [] }) => groupings.map(({ id }) => id));
  if (grouping === undefined || known.includes(grouping)) return;
  throw new ConsoleError('usage', `--group does not know "${grouping}".`, {
    hint:
      known.length > 0
        ? `${didYouMean(grouping, known)}Groups: ${known.join(', ')}`
        : `Only some panes have groups: --pane ${panes.find(({ groupings }) => groupings)?.id ?? ''}`,
  });
}

type Style = {
  hint: (text: string) => string;
  at: Date | null;
  windowMs: number;
  json: boolean;
  oneLine: boolean;
  all: boolean;
};

async function printStatus(
  database: Database,
  reader: StatusReader,
  print: (line: string) => void,
  { json, oneLine, ...style }: Style,
): Promise<ExitCode> {
  const read = await reader.read();
  const snapshots = read.map(({ snapshot }) => snapshot);
  if (json) print(safeJson(statusJson(database, snapshots, style.at), oneLine ? 0 : 2));
  else {
    const isEmpty = snapshots.some(({ rows }) => rows.length === 0);
    const demo = isEmpty && (await offersDemo(database).catch(() => false));
    const { statusText } = await import('../status-text.js');
    print(statusText(database, read, { ...style, offersDemo: demo }));
  }
  return snapshots.every(({ error }) => error === null) ? exitCodes.good : exitCodes.notGood;
}

/** False when it was interrupted. */
async function waits(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

export async function serverNow(database: Database): Promise<number> {
  const [row] = await database.read<ServerNowRow>(serverNowStatement, []);
  return row?.now_ms ?? Date.now();
}

/** Undefined: now. */
export function momentOf(
  text: string | undefined,
  nowMs: number,
  name = '--at',
): number | undefined {
  if (text === undefined) return undefined;
  const named = parseMoment(text, nowMs);
  if ('error' in named) throw new ConsoleError('usage', `${name}: ${named.error}`, named);
  return named.untilMs;
}

function timeOf(text: string | undefined, flag: string): number | undefined {
  return text === undefined ? undefined : parseAge(text, flag).milliseconds;
}

/** Undefined without --watch; `--watch` alone is every two seconds. */
function watchInterval(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = text === '' ? 2 : readNumber(text);
  if (!(seconds >= 0.5 && seconds <= 86_400)) {
    throw new ConsoleError('usage', '--watch takes seconds, from 0.5 to 86400.');
  }
  return seconds * 1_000;
}

/** What `status --json` prints for a pane: its rows, and beside them what else it knows. */
export type PaneJson = {
  /** The server's clock, or the moment chosen in the past; null when there was no answer. */
  asOf: Date | null;
  /** Server time in milliseconds. */
  costMs: number | null;
  rows: readonly object[];
  notes: readonly string[];
  error: { code: string; message: string; hint: string | null } | null;
};

export type StatusJson = {
  database: ReturnType<typeof databaseJson>;
  /** The chosen moment in the past at which the windows end; null: now. */
  at: Date | null;
  panes: Record<string, PaneJson>;
};

export function statusJson(
  database: Database,
  snapshots: readonly PaneSnapshot[],
  at: Date | null,
): StatusJson {
  return {
    database: databaseJson(database),
    at,
    panes: Object.fromEntries(snapshots.map((snapshot) => [snapshot.id, paneJson(snapshot)])),
  };
}

function databaseJson({ capabilities, address, origin, readOnly }: Database) {
  return {
    name: capabilities.database,
    host: address.host,
    port: address.port,
    user: capabilities.user,
    schema: capabilities.schema,
    source: origin,
    serverVersion: capabilities.serverVersionText,
    pgvector: capabilities.extensions.vector?.version ?? null,
    tls: address.tls,
    embedded: capabilities.embedded,
    standby: capabilities.standby,
    readOnly,
  };
}

function paneJson({ asOf, costMs, rows, extras, notes, error }: PaneSnapshot): PaneJson {
  return {
    ...extras,
    asOf,
    costMs: costMs === null ? null : Math.round(costMs * 100) / 100,
    rows,
    notes,
    error: error && errorJson(error),
  };
}

function errorJson({ code, message, hint }: ConsoleError) {
  return { code, message, hint: hint ?? null };
}
