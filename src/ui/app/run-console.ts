import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readTextFile } from '../../core/folders.js';
import { createFolder } from '../../core/create-folder.js';
import { showTimesIn } from '../../core/format/time.js';
import { isObject } from '../../core/values.js';
import type { Recording } from '../../live/recording/recording.js';
import {
  findPane,
  findPaneOfEarlier,
  overviewPaneIds,
  paneById,
  paneIds,
  type PaneId,
} from '../../panes/registry.js';
import { sessionExitCodes } from '../../terminal/session.js';
import type { ConsoleState } from '../model/model.js';
import { initialPaneView, sortsOf } from '../model/pane-view.js';
import { ConsoleApp } from './console-app.js';
import { paste, pressKey } from './input.js';
import type { AppSettings, ConsoleOptions, EarlyTerminal } from './options.js';
import { ConnectionSwitch, showDatabase } from './show-database.js';

/** Runs the console on the databases of the options until the session ends. @returns the exit code */
export function runOnDatabases(
  terminal: EarlyTerminal,
  { connections, recordTo, opensAt, ...settings }: ConsoleOptions,
): Promise<number> {
  return run(terminal, settings, (app) => {
    const show = showDatabase(app, recordTo, opensAt);
    const connectionSwitch = new ConnectionSwitch(app, connections, show);
    app.connections = connectionSwitch;
    return connectionSwitch.begin();
  });
}

export function runOnRecording(
  terminal: EarlyTerminal,
  recording: Recording,
  settings: AppSettings | undefined,
): Promise<number> {
  return run(terminal, settings, async (app) => {
    const { Player } = await import('../../live/recording/player.js');
    const { database, host, user } = recording.header.place;
    const place = { database, host, user, origin: 'recording', readOnly: false };
    app.attachment.play(new Player(recording), { ...place, connection: undefined });
  });
}

async function run(
  { session, handTo }: EarlyTerminal,
  settings: AppSettings | undefined,
  start: (app: ConsoleApp) => Promise<void>,
): Promise<number> {
  const app = new ConsoleApp(
    {
      get size() {
        return { columns: session.screen.columns, rows: session.screen.rows };
      },
      onResize: (listener) => session.screen.on('resize', listener),
      end: (exitCode) => session.end(exitCode),
      log: (text) => session.log.write('info', text),
      copy: (text) => session.copy(text),
      notify: (text, how) => session.notify(text, how),
    },
    settings,
  );
  const layout = layoutFile(session.log.path);
  app.update(recall(layout, app.model));
  showTimesIn(app.model.utc ? 'utc' : 'local');
  session.onEnd(() => {
    remember(layout, app.model);
    return app.stop();
  });

  let failure: Error | undefined;
  const opened = start(app).catch((error: unknown) => {
    failure = error instanceof Error ? error : new Error(String(error));
    session.end(sessionExitCodes.quit);
  });
  handTo({
    press: (key) => pressKey(app, key),
    paste: (text) => paste(app, text),
    interrupt: () => app.interrupt(),
  });
  // What draws is loaded while the database is opened; the panes are asked before the first of them is drawn: the server answers
  // meanwhile.
  const { loadInk } = await import('../../terminal/ink/mount.js');
  await loadInk();
  await nextTurn();
  const { mountConsole } = await import('../screen/console-screen.js');
  await askedPanes(app);
  if (failure === undefined) await mountConsole(session, app);
  const { exitCode } = await session.ended;
  if (failure !== undefined) throw failure;
  // A connection that is still being opened is not waited for.
  await Promise.race([opened, new Promise((resolve) => setTimeout(resolve, 50).unref())]);
  return exitCode;
}

/** For so long the first questions are waited for (ms): a server nearby is open by then, one far away is not worth it. */
const askingMs = 25;

async function askedPanes(app: ConsoleApp): Promise<void> {
  const until = performance.now() + askingMs;
  await nextTurn();
  while (app.source?.getState().connection.state !== 'connected' && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const layoutVersion = 2;

/** The layout as it is stored between two runs. */
type Remembered = {
  /** Files before version 2 may hold former ids of panes. */
  version: typeof layoutVersion;
  overview: PaneId[];
  focus: PaneId;
  /** Pane to the id of its sort. */
  sorts: Partial<Record<PaneId, { by: string; reversed: boolean }>>;
  /** Pane to the ids of its variant and grouping. */
  choices: Partial<Record<PaneId, { variant?: string; grouping?: string }>>;
  utc: boolean;
};

type Choices = Pick<ConsoleState, 'overview' | 'focus' | 'home' | 'panes' | 'utc'>;

/** Beside the log, in the folder for state. */
function layoutFile(logFile: string): string {
  return path.join(path.dirname(logFile), 'layout.json');
}

/** The layout of the last run, with defaults for what cannot be read or no longer exists. */
export function recall(file: string, initial: Choices): Choices {
  const kept = readKept(file);
  const { overview: chosen } = kept;
  const paneOf = kept.version === layoutVersion ? findPane : findPaneOfEarlier;
  const known = new Set(Array.isArray(chosen) ? chosen.map((id) => paneOf(id)?.id) : []);
  const overview = paneIds.filter((id) => known.has(id));
  const shown: readonly PaneId[] = overview.length > 0 ? overview : overviewPaneIds;
  const [first = initial.focus] = shown;
  const last = paneOf(kept.focus)?.id;
  const focus = last !== undefined && shown.includes(last) ? last : first;
  const panes = { ...initial.panes };
  for (const [id, order] of Object.entries(kept.sorts ?? {})) {
    const pane = paneOf(id);
    if (!pane || !isObject(order)) continue;
    const sort = sortsOf(pane).findIndex((each) => each.id === order.by);
    if (sort >= 0) panes[pane.id] = { ...initialPaneView, sort, reversed: order.reversed === true };
  }
  for (const [id, choice] of Object.entries(kept.choices ?? {})) {
    const pane = paneOf(id);
    if (!pane || !isObject(choice)) continue;
    const variant = pane.variants?.find((each) => each.id === choice.variant)?.id;
    const grouping = pane.groupings?.find((each) => each.id === choice.grouping)?.id;
    panes[pane.id] = {
      ...panes[pane.id],
      ...(variant === undefined ? {} : { variant }),
      ...(grouping === undefined ? {} : { grouping }),
    };
  }
  return { overview: shown, focus, home: focus, panes, utc: kept.utc === true };
}

/** Written when the console ends. A file that cannot be written is no reason to fail. */
export function remember(file: string, { overview, home, panes, utc }: Choices): void {
  const sorts: Remembered['sorts'] = {};
  const choices: Remembered['choices'] = {};
  for (const id of paneIds) {
    const { sort, reversed, variant, grouping } = panes[id];
    const by = sortsOf(paneById(id))[sort]?.id;
    if (by !== undefined && (sort > 0 || reversed)) sorts[id] = { by, reversed };
    if (variant !== undefined || grouping !== undefined) {
      choices[id] = {
        ...(variant === undefined ? {} : { variant }),
        ...(grouping === undefined ? {} : { grouping }),
      };
    }
  }
  const kept: Remembered = {
    version: layoutVersion,
    overview: [...overview],
    focus: home,
    sorts,
    choices,
    utc,
  };
  try {
    createFolder(path.dirname(file));
    fs.writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600 });
  } catch {
    // The next run begins as the first one.
  }
}

/** A file that anybody may have edited. */
function readKept(file: string): Partial<Record<keyof Remembered, unknown>> {
  try {
    const kept: unknown = JSON.parse(readTextFile(file));
    return isObject(kept) ? kept : {};
  } catch {
    return {};
  }
}
