import type { AlertSettings } from '../../live/alerts/alert-watch.js';
import type { PaneId } from '../../panes/registry.js';
import type { ClipboardCopy } from '../../terminal/clipboard.js';
import type { TerminalSession } from '../../terminal/session.js';
import type { ConnectionChoice } from '../context.js';
import type { KeyChoices } from '../keymap.js';
import type { Size } from '../layout/layout.js';

/** What the config file says of the console, and what the program tells it. */
export type AppSettings = {
  alerts?: AlertSettings | undefined;
  keys?: KeyChoices | undefined;
  /** Commands of the shell that ask a database: where a text names one, it leads to the one that is shown. */
  shellCommands?: ReadonlySet<string>;
};

/** What the console opens on, as a link says it: all of it was looked at before. */
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

/** A terminal with the first frame on it. What was typed meanwhile is handed over, too. */
export type EarlyTerminal = { session: TerminalSession; handTo: (receiver: Receiver) => void };
