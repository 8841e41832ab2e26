import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { parseMoment } from '../../core/format/time.js';
import { readNumber } from '../../core/values.js';
import type { Database } from '../../db/database.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { heeded } from '../../db/transaction.js';
import {
  defaultStuckAfterMs,
  defaultWindowMs,
  type ServerNowRow,
  serverNowStatement,
} from '../../panes/reading/windows.js';
import { defineCommand, parseAge, parseWindow } from '../command.js';

/** So many panes are read at the same time where each is read once; again and again, one after the other, as a guest does. */
const atOnce = 3;

/** What knows the panes is loaded when the server has been asked: it answers meanwhile. */
const loadPanes = () => import('../../panes/registry.js');

export const command = defineCommand({
  name: 'status',
  asksAtOnce: atOnce,
  summary: 'print the panes of the console once, as tables or JSON',
  usage:
    '[--pane ID … | --all] [--window 1h] [--group NAME] [--at MOMENT | --watch [SECONDS]] [--json]',
  description: async () => {
    const { overviewPaneIds, paneIds } = await loadPanes();
    return [
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
    ].join('\n');
  },
  flags: {
    pane: {
      type: 'string',
      value: 'ID',
      multiple: true,
      description: 'only this pane; repeatable',
      values: async () => (await loadPanes()).paneIds,
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
    const windowMs =
      (flags.window === undefined ? context.settings.windowMs : parseWindow(flags.window)) ??
      defaultWindowMs;
    const stuckAfterMs = timeOf(flags.stuckAfter, '--stuck-after') ?? defaultStuckAfterMs;
    const everyMs = watchInterval(flags.watch);
    if (flags.at !== undefined && everyMs !== undefined) {
      throw new ConsoleError('usage', 'Either --at or --watch: the past does not change.');
    }
    momentOf(flags.at, Date.now());
    // A mistake in what was typed is told before a server is asked.
    const isTyped = flags.pane.length > 0;
    const opening = isTyped ? undefined : heeded(openDatabase());
    for (const load of [() => import('../../live/pane-feed.js'), loadPanes]) {
      await nextTurn();
      await load();
    }
    await nextTurn();
    const { chosenPanes, checkGrouping, printStatus, StatusReader } =
      await import('../status-report.js');
    const chosen = chosenPanes(flags.pane, flags.all);
    const database = await (opening ?? openDatabase());
    const untilMs =
      flags.at === undefined ? undefined : momentOf(flags.at, await serverNow(database));
    checkGrouping(chosen, flags.group);
    const exact = everyMs === undefined;
    const reader = new StatusReader(database, chosen, {
      ...{ windowMs, untilMs, stuckAfterMs, exact, atOnce: exact ? atOnce : 1 },
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
