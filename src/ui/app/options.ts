import type { AlertSettings } from '../../live/alerts/alert-watch.js';
import type { PaneId } from '../../panes/registry.js';
import type { ClipboardCopy } from '../../terminal/clipboard.js';
import type { TerminalSession } from '../../terminal/session.js';
import type { ConnectionChoice } from '../context.js';
import type { KeyChoices } from '../keymap.js';
import type { Size } from '../layout/layout.js';

/** Settings of the console from the config file and the command line. */
export type AppSettings = {
  alerts?: AlertSettings | undefined;
  keys?: KeyChoices | undefined;
  /** Shell commands that open a database: where a text on the screen names one, the flags of the shown database are added. */
  shellCommands?: ReadonlySet<string>;
};

/** What to show first, from the flags of the command line; already checked. */
export type OpensAt = {
  pane?: PaneId | undefined;
  /** The digits of a trace's id, or the first of them. */
  trace?: string | undefined;
  /** A moment as a person names it: `2h ago`. */
  at?: string | undefined;
};

export type ConsoleOptions = AppSettings & {
  /** The databases that it can be on; it is opened on the first. */
  connections: readonly [ConnectionChoice, ...ConnectionChoice[]];
  /** Where to record what is shown. */
  recordTo?: string | undefined;
  /** What the first database is shown at. */
  opensAt?: OpensAt;
};

/** What the app needs of the terminal. */
export type AppTerminal = {
  readonly size: Size;
  onResize(listener: () => void): void;
  /** Ends the program with this exit code. */
  end(exitCode: number): void;
  log(text: string): void;
  /** Puts a text into the terminal's clipboard. */
  copy(text: string): ClipboardCopy;
  /** Rings the bell, tells the desktop. */
  notify(text: string, how: { bell: boolean; desktop: boolean }): void;
};

/** What takes keys, pasted texts and Ctrl-C. */
export type Receiver = {
  press(key: string): void;
  paste(text: string): void;
  interrupt(): void;
};

/** A terminal that shows the first frame. `handTo` also delivers keys that were typed before the app was there. */
export type EarlyTerminal = { session: TerminalSession; handTo: (receiver: Receiver) => void };
