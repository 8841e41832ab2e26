import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../db/database.js';
import { ConsoleError, exitCodes, type ExitCode } from '../../db/errors.js';
import { StatusReader } from '../../live/status.js';
import { furtherPaneIds, overviewPaneIds, type AnyPane } from '../../panes/pane.js';
import { paneById, panes } from '../../panes/registry.js';
import { defaultStuckAfterMs, defaultWindowMs } from '../../panes/windows.js';
import { parseDuration } from '../../shared/format/duration.js';
import { defineCommand } from '../command.js';
import { safeJson } from '../safe-text.js';
import { statusJson } from '../status-json.js';
import { statusText } from '../status-text.js';

export const status = defineCommand({
  name: 'status',
  summary: 'print the panes of the console once, as tables or JSON',
  usage: '[--pane ID … | --all] [--window 1h] [--watch [SECONDS]] [--json]',
  description: [
    'Figures are exact. Exit code 0 when every pane could be read, 1 when one could not: it says why,',
    'and the others are printed.',
    '',
    `Panes: ${overviewPaneIds.join(', ')};`,
    `on request also: ${furtherPaneIds.join(', ')}.`,
    '',
    'With --json: {"database": {…}, "panes": {ID: {"asOf", "costMs", "rows": […], "notes", "error"}}};',
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
    const database = await openDatabase();
    const exact = everyMs === undefined;
    const reader = new StatusReader(database, chosen, { windowMs, stuckAfterMs, exact });
    const printOnce = () =>
      printStatus(database, reader, print, {
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

type Style = { json: boolean; oneLine: boolean; all: boolean };

async function printStatus(
  database: Database,
  reader: StatusReader,
  print: (line: string) => void,
  { json, oneLine, all }: Style,
): Promise<ExitCode> {
  const read = await reader.read();
  const snapshots = read.map(({ snapshot }) => snapshot);
  if (json) print(safeJson(statusJson(database, snapshots), oneLine ? 0 : 2));
  else print(statusText(database, read, all));
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
