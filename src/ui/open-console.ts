import type { Database } from '../db/database.js';
import { LiveEngine } from '../live/engine.js';
import { Player } from '../live/recording/player.js';
import { Recorder } from '../live/recording/recorder.js';
import type { Recording } from '../live/recording/recording.js';
import { showTimesIn } from '../shared/format/time.js';
import { sessionExitCodes, TerminalSession } from '../terminal/session.js';
import { ConsoleApp, type AppSettings } from './app/console-app.js';
import { layoutFile, recall, remember } from './app/remembered.js';
import { checkSchema, firstRun, lacksTables, type SchemaNotice } from './app/schema-flow.js';
import { findUnfinished } from './app/unfinished-rebuilds.js';
import { drawHeader, type ConnectionBadge } from './draw/header.js';
import { createTheme, type Theme, type ThemeName } from './theme.js';

export type OpenConsoleOptions = AppSettings & {
  /** The named connection, for its badge in the header. */
  connection?: ConnectionBadge | undefined;
  cadenceMs?: number | undefined;
  windowMs?: number | undefined;
  theme?: ThemeName | undefined;
  /** Where to record what is shown. */
  recordTo?: string | undefined;
  /** Opens the database; `onProgress` gets a line while the embedded one starts. */
  openDatabase: (onProgress: (line: string) => void) => Promise<Database>;
};

/**
 * The live console, from the first frame until the terminal is given back. The header is drawn before
 * Ink is loaded, and the database is opened meanwhile.
 *
 * @returns the exit code: 0, or 128 plus the signal's number
 * @throws ConsoleError when there is no connection; the terminal is given back before
 */
export function openConsole(options: OpenConsoleOptions): Promise<number> {
  return onTerminal(options.theme, options, (app) => begin(app, options));
}

/** The console on a recording; otherwise as {@link openConsole}. */
export function openReplay(
  recording: Recording,
  theme?: ThemeName,
  settings?: AppSettings,
): Promise<number> {
  return onTerminal(theme, settings, (app) => {
    const { database, host, user } = recording.header.place;
    const place = { database, host, user, origin: 'recording', readOnly: false };
    app.play(new Player(recording), { ...place, connection: undefined });
    return Promise.resolve();
  });
}

async function onTerminal(
  themeName: ThemeName | undefined,
  settings: AppSettings | undefined,
  start: (app: ConsoleApp) => Promise<void>,
): Promise<number> {
  const session = new TerminalSession();
  const theme = createTheme(session, themeName);
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
  session.input.on('paste', (text) => app.paste(text));
  session.onInterrupt = () => app.interrupt();
  const layout = layoutFile(session.log.path);
  app.update(recall(layout, app.model));
  showTimesIn(app.model.utc ? 'utc' : 'local');
  session.onEnd(() => {
    remember(layout, app.model);
    return app.stop();
  });
  drawFirstFrame(session, theme, app);

  let failure: Error | undefined;
  const opened = start(app).catch((error: unknown) => {
    failure = error instanceof Error ? error : new Error(String(error));
    session.end(sessionExitCodes.quit);
  });
  const { mountApp } = await import('./app/mount-app.js');
  if (failure === undefined) await mountApp(session, app, theme);
  const { exitCode } = await session.ended;
  if (failure !== undefined) throw failure;
  // A connection that is still being opened is not waited for.
  await Promise.race([opened, new Promise((resolve) => setTimeout(resolve, 50).unref())]);
  return exitCode;
}

function drawFirstFrame(session: TerminalSession, theme: Theme, app: ConsoleApp): void {
  const lines = drawHeader(theme, app.model, session.screen.columns);
  session.screen.write(theme.encode(lines.join('\n')));
}

/** From the connection over the schema to the panes. */
async function begin(app: ConsoleApp, options: OpenConsoleOptions): Promise<void> {
  const { connection, cadenceMs, windowMs } = options;
  const database = await options.openDatabase((line) => app.update({ opening: line }));
  app.connected(database, connection);
  const lacking = lacksTables(database);
  const notice = lacking
    ? await firstRun(database, {
        show: (stage) => app.showSchema(stage),
        answer: () => app.ask(),
      })
    : undefined;
  const engine = new LiveEngine(database, {
    ...(cadenceMs === undefined ? {} : { cadenceMs }),
    ...(windowMs === undefined ? {} : { windowMs }),
  });
  const recorder = options.recordTo === undefined ? undefined : record(options.recordTo, app);
  app.go(database, engine, recorder);
  if (notice) tell(app, notice);
  if (!lacking) void checkLater(app, database);
}

/** @throws ConsoleError when the file cannot be made */
function record(file: string, { model: { place } }: ConsoleApp): Recorder {
  const { database = '', host = '', user = '' } = place ?? {};
  return new Recorder(file, { database, host, user });
}

/** The panes come first; what the catalogue lacks is looked for when they are drawn. */
async function checkLater(app: ConsoleApp, database: Database): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1_500).unref());
  try {
    const notice = await checkSchema(database);
    if (notice) tell(app, notice);
  } catch (error) {
    app.log(`the schema could not be checked: ${String(error)}`);
  }
  try {
    const { running, leftovers } = await findUnfinished(database);
    // Whoever began one of his own meanwhile sees it in front of him.
    if (app.actions?.isRunning) return;
    if (leftovers !== undefined) app.say(app.keys.inText(leftovers), 'warning');
    if (running.length > 0) app.push({ kind: 'notice', title: 'Still running', lines: running });
  } catch (error) {
    app.log(`unfinished rebuilds could not be looked for: ${String(error)}`);
  }
}

function tell(app: ConsoleApp, { text, important }: SchemaNotice): void {
  if (important) app.push({ kind: 'notice', title: 'The schema', lines: [text] });
  else app.say(text, 'warning');
}
