import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../db/database.js';
import { ConsoleError, exitCodes, type ExitCode } from '../../db/errors.js';
import { StatusReader } from '../../live/status.js';
import { furtherPaneIds, overviewPaneIds, type AnyPane } from '../../panes/pane.js';
import { paneById, panes } from '../../panes/registry.js';
import { defaultStuckAfterMs, defaultWindowMs } from '../../panes/windows.js';
import { serverNowStatement, type ServerNowRow } from '../../panes/statements/server-now.js';
import { parseDuration } from '../../shared/format/duration.js';
import { parseMoment } from '../../shared/format/moment.js';
import { defineCommand } from '../command.js';
import { safeJson } from '../safe-text.js';
import { statusJson } from '../status-json.js';
import { statusText } from '../status-text.js';

export const status = defineCommand({
  name: 'status',
  summary: 'print the panes of the console once, as tables or JSON',
  usage: '[--pane ID … | --all] [--window 1h] [--at MOMENT | --watch [SECONDS]] [--json]',
  description: [
    'Figures are exact. Exit code 0 when every pane could be read, 1 when one could not: it says why,',
    'and the others are printed.',
    '',
    `Panes: ${overviewPaneIds.join(', ')};`,
    `on request also: ${furtherPaneIds.join(', ')}.`,
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
    watch: {
      type: 'string',
      value: '[SECONDS]',
      description: 'print again every so many seconds (default 2) until interrupted',
    },
  },
  examples: [
    'trace-console status --pane slow-hooks --window 15m',
    'trace-console status --json | jq \'.panes["recent-traces"].stuck\'',
  ],
  async run(context) {
    const { flags, openDatabase, print } = context;
    const chosen = chosenPanes(flags.pane, flags.all);
    const windowMs =
      timeOf(flags.window, '--window') ?? context.settings.windowMs ?? defaultWindowMs;
    const stuckAfterMs = timeOf(flags.stuckAfter, '--stuck-after') ?? defaultStuckAfterMs;
    const everyMs = watchInterval(flags.watch);
    if (flags.at !== undefined && everyMs !== undefined) {
      throw new ConsoleError('usage', 'Either --at or --watch: the past does not change.');
    }
    momentOf(flags.at, Date.now());
    const database = await openDatabase();
    const untilMs = momentOf(flags.at, await serverNow(database));
    const exact = everyMs === undefined;
    const reader = new StatusReader(database, chosen, { windowMs, untilMs, stuckAfterMs, exact });
    const printOnce = () =>
      printStatus(database, reader, print, {
        at: untilMs === undefined ? null : new Date(untilMs),
        windowMs,
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

type Style = { at: Date | null; windowMs: number; json: boolean; oneLine: boolean; all: boolean };

async function printStatus(
  database: Database,
  reader: StatusReader,
  print: (line: string) => void,
  { at, windowMs, json, oneLine, all }: Style,
): Promise<ExitCode> {
  const read = await reader.read();
  const snapshots = read.map(({ snapshot }) => snapshot);
  if (json) print(safeJson(statusJson(database, snapshots, at), oneLine ? 0 : 2));
  else print(statusText(database, read, { all, at, windowMs }));
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

async function serverNow(database: Database): Promise<number> {
  const [row] = await database.read<ServerNowRow>(serverNowStatement, []);
  return row?.now_ms ?? Date.now();
}

/** Undefined: now. */
function momentOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const named = parseMoment(text, nowMs);
  if ('error' in named) throw new ConsoleError('usage', `--at: ${named.error}`, named);
  return named.untilMs;
}

function timeOf(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) {
    throw new ConsoleError('usage', `${flag} does not understand "${text}".`, {
      hint: 'A number and a unit: 30s, 15m, 1h, 7d.',
    });
  }
  return ms;
}

/** Undefined without --watch; `--watch` alone is every two seconds. */
function watchInterval(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = text === '' ? 2 : Number(text);
  if (!(seconds >= 0.5 && seconds <= 86_400)) {
    throw new ConsoleError('usage', '--watch takes seconds, from 0.5 to 86400.');
  }
  return seconds * 1_000;
}
