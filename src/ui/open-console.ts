import { Player } from '../live/recording/player.js';
import type { Recording } from '../live/recording/recording.js';
import { showTimesIn } from '../shared/format/time.js';
import { sessionExitCodes, TerminalSession } from '../terminal/session.js';
import { ConsoleApp, type AppSettings } from './app/console-app.js';
import { Connections } from './app/connections.js';
import { layoutFile, recall, remember } from './app/remembered.js';
import { showDatabase } from './app/show-database.js';
import type { ConnectionChoice } from './connection-choice.js';
import { drawHeader } from './draw/header.js';
import { createTheme, type Theme, type ThemeName } from './theme.js';

export type OpenConsoleOptions = AppSettings & {
  /** The databases that it can be on; it is opened on the first. */
  connections: readonly [ConnectionChoice, ...ConnectionChoice[]];
  theme?: ThemeName | undefined;
  /** Where to record what is shown. */
  recordTo?: string | undefined;
};

/**
 * The live console, from the first frame until the terminal is given back. The header is drawn before
 * Ink is loaded, and the database is opened meanwhile.
 *
 * @returns the exit code: 0, or 128 plus the signal's number
 * @throws ConsoleError when there is no connection; the terminal is given back before
 */
export function openConsole(options: OpenConsoleOptions): Promise<number> {
  const { theme, connections, recordTo } = options;
  return onTerminal(theme, options, (app) => {
    const show = showDatabase(app, recordTo);
    app.connections = new Connections(app, connections, show);
    return app.connections.begin();
  });
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
