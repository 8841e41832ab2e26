import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Recording } from '../live/recording/recording.js';
import { GridPainter } from '../terminal/painter.js';
import { TerminalSession } from '../terminal/session.js';
import type { AppSettings, ConsoleOptions, EarlyTerminal, Receiver } from './app/options.js';
import { drawHeader, headerHeight } from './draw/header.js';
import { LinearPainter } from './draw/linear-painter.js';
import { strings } from './strings.js';
import { createTheme, type ThemeName } from './theme.js';

/** How the screen looks. */
type TerminalLook = {
  theme?: ThemeName | undefined;
  /** Tells changes in lines instead of painting the screen. */
  isLinear?: boolean;
};

/** Linear output is laid out at least this large, so that a small terminal cuts nothing. */
const leastLinearSize = { columns: 120, rows: 40 };

/**
 * The live console, from the first frame until the terminal is given back. The header is drawn before
 * the panes, the app and Ink are loaded, and the database is opened meanwhile.
 *
 * @returns the exit code: 0, or 128 plus the signal's number
 * @throws ConsoleError when there is no connection; the terminal is given back before
 */
export async function openConsole(options: ConsoleOptions & TerminalLook): Promise<number> {
  const terminal = openTerminal(options, options.connections[0].traffic !== undefined);
  // Loading takes no turns: between its parts the opening of the database goes on.
  for (const load of [
    () => import('../panes/registry.js'),
    () => import('../live/engine.js'),
    () => import('./commands/registry.js'),
  ]) {
    await nextTurn();
    await load();
  }
  await nextTurn();
  const { runOnDatabases } = await import('./app/run-console.js');
  await nextTurn();
  return runOnDatabases(terminal, options);
}

/** The console on a recording; otherwise as {@link openConsole}. */
export async function openReplay(
  recording: Recording,
  look: TerminalLook,
  settings?: AppSettings,
): Promise<number> {
  const terminal = openTerminal(look);
  const { runOnRecording } = await import('./app/run-console.js');
  return runOnRecording(terminal, recording, settings);
}

function openTerminal({ theme, isLinear = false }: TerminalLook, isDemo = false): EarlyTerminal {
  const session = new TerminalSession({ isLinear });
  const { screen, input } = session;
  if (isLinear) {
    screen.painter = new LinearPainter();
    screen.leastSize = leastLinearSize;
  } else {
    screen.painter = new GridPainter(createTheme(session, theme));
  }
  // What is typed before there is an app waits for it.
  const held: ((app: Receiver) => void)[] = [];
  let receiver: Receiver | undefined;
  const give = (event: (app: Receiver) => void) => {
    if (receiver) event(receiver);
    else held.push(event);
  };
  input.on('paste', (text) => give((app) => app.paste(text)));
  input.on('key', (key) => give((app) => app.press(key)));
  session.onInterrupt = () => give((app) => app.interrupt());
  const { columns: width } = screen;
  const nothing = { place: undefined, live: undefined, replay: undefined, recording: undefined };
  const lines = drawHeader(
    { ...nothing, isDemo, connecting: strings.connecting, nowMs: 0, alerts: [] },
    width,
  );
  screen.show([{ x: 0, y: 0, width, height: headerHeight, lines }]);
  const handTo = (app: Receiver) => {
    receiver = app;
    for (const event of held.splice(0)) event(app);
  };
  return { session, handTo };
}
