import type { ReactNode } from 'react';
import type { Database } from '../db/database.js';
import type { Failure } from '../db/errors.js';
import type { Alert, AlertEvent, AlertRule } from '../live/alerts/alert-watch.js';
import type { Player } from '../live/recording/player.js';
import type { LiveSource, LiveState } from '../live/state.js';
import type { ChosenLater } from '../maintenance/action.js';
import type { OfferedAction } from '../maintenance/registry.js';
import type { Tone } from '../panes/contract/column.js';
import type {
  ListRequest,
  Opened,
  OpenedRecords,
  Opening,
  DetailAccess,
} from '../panes/contract/opening.js';
import type { Exportable } from '../panes/export/exportable.js';
import type { NameKind } from '../panes/reading/names.js';
import type { AnyPane, PaneId } from '../panes/registry.js';
import type { ClipboardCopy } from '../terminal/clipboard.js';
import type { ActionState } from './draw/action.js';
import type { ConnectionBadge } from './draw/header.js';
import type { StyledLine } from './draw/styled-line.js';
import type { Binding, Keymap, KeyScope } from './keymap.js';
import type { ConsoleState } from './model/model.js';
import type { PaneView } from './model/pane-view.js';
import type { Movement } from './model/list-state.js';
import type { Search } from './model/search.js';

/** 0..1 of a history is written, and all that is later than `since` (milliseconds since 1970): it is written backwards. */
export type Filling = { filled: number; since: number };

export type DemoTraffic = {
  /** How long nothing was written before it went on, ms; undefined: it has just begun, or goes on anyway. */
  pauseMs(): number | undefined;
  onFilling(listener: (filling: Filling) => void): void;
};

/** A database that the console can be on: of the config file, the embedded one, or the one it was opened on. */
export type ConnectionChoice = {
  /** What is typed behind `:connect`. */
  name: string;
  /** Where it is, without any secret. */
  description: string;
  /** Of the header; the embedded database and an unnamed one have none. */
  badge: ConnectionBadge | undefined;
  readOnly: boolean;
  cadenceMs: number | undefined;
  windowMs: number | undefined;
  budgetUsdPerDay?: number | undefined;
  /** Starts the collector of agents' events for it; absent: it cannot be told where. */
  follow?: (() => void) | undefined;
  /** Of the demo, which makes its traffic while it is shown. */
  traffic?: DemoTraffic;
  /**
   * Opens it anew; `onProgress` gets a line while the embedded one starts. Who opens it closes it. A server that does
   * not answer within `answersWithinMs` is given up; default: as its connection says.
   *
   * @throws ConsoleError
   */
  open(onProgress: (line: string) => void, answersWithinMs?: number): Promise<Database>;
};

/** Everything that is drawn. Immutable. */
export type Model = ConsoleState & {
  /** The view stack, the overview at its bottom. The last one is focused. Never empty. */
  views: readonly View[];
};

/** Something that a key does: its keys and what the screen says of them, and what happens. */
export type Command = Binding & {
  /** `key` is the one that was pressed, for commands whose keys mean a number. */
  run(context: Context, key: string): void;
  /** Why it can do nothing now, for the bottom line; undefined when it can. */
  unavailable?(context: Context, key: string): string | undefined;
  /** Whether the key bar has it here while it can do something; absent: always. */
  isOnBar?: (context: Context) => boolean;
};

export type Scope = KeyScope<Command>;

/** What is typed behind `:` with an argument: `window 15m`. */
export type ColonCommand = {
  name: string;
  title: string;
  /** It is of the focused pane, and means nothing in what Enter has opened. */
  ofPane?: true;
  /** A recording cannot do it. */
  needsDatabase?: true;
  /** What may be typed behind the name; absent where only `values` may. */
  argument?: string;
  /** Whether a text is understood as it is: then it is not taken for the beginning of a value. */
  accepts?(text: string): boolean;
  /** What is typed behind the name names one of these: Tab completes them. */
  names?: readonly NameKind[];
  /** What can be chosen; '' where nothing follows the name. */
  values?(context: Context): readonly string[];
  /** What can be chosen of a pane; typed behind the pane's name, too: `usage agent`. */
  choices?(pane: AnyPane): readonly { id: string; title: string }[];
  /** What a value means, where that says more than the title. */
  valueTitle?(context: Context, value: string): string | undefined;
  run(context: Context, argument: string): void;
};

/**
 * One view on the stack: its keys, its state, what it draws. Immutable: a change puts another view in
 * its place. A key goes to the focused view first (`takesKey`), then to the command of its scope.
 */
export interface View {
  readonly scope: Scope;
  /** Hides the panes wholly, so that they are not asked. */
  readonly covers?: boolean;
  /** Enter has opened it: which drill-down it is, and how it is read again. Going to a pane closes it. */
  readonly openedBy?: OpenedBy;
  /** A line to type into: what it is about stays in view behind it. */
  readonly isPrompt?: boolean;
  /** It asks about leaving: it stays in front of an action's dialog. */
  readonly asksToLeave?: boolean;
  /** It asks about leaving for another database, or waits for one: a next attempt takes its place. */
  readonly endsWithConnection?: boolean;
  /** It shows how long something takes: it is drawn every second. */
  readonly showsTime?: boolean;
  /** Where the console is going, for the header. */
  readonly destination?: { toward: ConnectionChoice; connecting: string };
  /** Absent: it has the bottom line only. */
  draw?(context: Context): ReactNode;
  /** The bottom line in place of the key bar. */
  drawBottomLine?(context: Context): StyledLine;
  /** Takes a key before the commands do; false leaves it to them. */
  takesKey?(context: Context, key: string): boolean;
  /** Takes a pasted text. */
  takesPaste?(context: Context, text: string): void;
  /** Moves the cursor, or scrolls. */
  move?(context: Context, by: Movement): void;
  /** Why there is nothing to move to. */
  whyNotMove?(context: Context): string | undefined;
  /** What Enter opens of the row or line under the cursor. */
  target?(context: Context): Opening | undefined;
  /** The row so many further, where Enter opens something of it: puts the cursor there, and tells what. */
  beside?(context: Context, by: 1 | -1): (() => Opening) | undefined;
  /** What `:copy` copies. */
  copyable?(context: Context): Copyable | undefined;
  /** What `:export` writes. */
  exportable?(context: Context): Exportable | undefined;
  /** Why there is nothing to copy or to write, where more can be said than that. */
  whyNothingChosen?(context: Context): string | undefined;
  readonly searchable?: Searchable;
  /** How `/` filters its rows. */
  filtered?(context: Context): Filtered | undefined;
  /** It is read again as often as the panes are, while it is in front. */
  readonly isLive?: boolean;
  /** Which rows are to be read, of a list. */
  readonly listRequest?: ListRequest;
  /** How many events of a trace are to be read. */
  readonly eventsWanted?: number;
  /** Keys that were pressed before it was read: the view that takes its place gets them. */
  readonly heldKeys?: readonly string[];
  /** More is wanted of it than was read: it is read once more at once. */
  readonly isIncomplete?: boolean;
  /** Some milliseconds of work that can wait for an idle moment; undefined: nothing is left to do. */
  idleWork?(context: Context): (() => void) | undefined;
}

export type OpenedBy = { readonly id: number; readonly opening: Opening };

/** A text for the clipboard, and what it is: `the row as JSON`. A long text is made when it is read. */
export type Copyable = { readonly text: string; readonly what: string };

/** How `/` filters the rows of a view. */
export interface Filtered {
  readonly filter: string;
  /** Why a text cannot be read; undefined when it can. */
  whyNot(text: string): string | undefined;
  /** Shows only the rows that match; '' shows all. */
  show(text: string): void;
  /** What a term may begin with. */
  readonly fields: readonly string[];
}

/** How `/` searches a view. */
export interface Searchable {
  readonly search: Search | undefined;
  /** A step leads from line to line, not from match to match. */
  readonly linesOnly: boolean;
  /** The line under the cursor. */
  line(context: Context): number;
  texts(context: Context): readonly string[];
  /** The view with the cursor on a line of it. */
  found(context: Context, line: number, search: Search | undefined): View;
}

/** The focused pane and its rows. */
export interface Focus {
  readonly pane: AnyPane;
  /** In the order in which they are shown, without those that the filter hides. */
  readonly rows: readonly object[];
  readonly view: PaneView;
  change(change: Partial<PaneView>): void;
  /** Shows only the rows that match, with the cursor on one that is there; '' shows all. */
  filter(text: string): void;
  /** Focuses a pane, on the whole screen when the overview does not show it; closes what Enter has opened. */
  goTo(id: PaneId): void;
}

/** Which rows of a list, or how many events of a trace, are read. */
export type WhichRows = Pick<DetailAccess, 'list' | 'events'>;

/** What Enter has opened, in front of each other. */
export interface Drilldowns {
  open(opening: Opening): void;
  /** Shows what needs no reading. */
  show(records: OpenedRecords): void;
  /** Reads it, or the one in front, again. */
  refresh(openedBy?: OpenedBy): void;
  /**
   * Reads what is shown nowhere, as the rest of a list to write it: of the database and the window that are there now,
   * whichever come later. What it returns throws ConsoleError.
   */
  reader(): (opening: Opening, which: WhichRows) => Promise<Opened>;
}

/** The one action that may be open: from its preview to its result. */
export interface Actions {
  /** Of its dialog; undefined: none is open. */
  readonly state: ActionState | undefined;
  /** Something is being changed now. */
  readonly isRunning: boolean;
  /** The server would finish it alone. */
  readonly isDetachable: boolean;
  /** Shows what an action would do, or returns why it may not run here. */
  open(action: OfferedAction): Failure | undefined;
  /** Opens the dialog at once, so that the next key goes to it, while what to do is still being read. */
  openLater(later: ChosenLater<OfferedAction>): void;
  confirm(): void;
  /** Adds a letter to the word that confirms, or takes one away (`backspace`). */
  type(key: string): void;
  /** Stops a running action at its next safe point; closes a dialog that has not begun. */
  cancel(): void;
  /** Leaves to the server what it is doing, before the console ends. */
  leave(): void;
  close(): void;
}

/** What the database has names for. */
export interface Names {
  of(kind: NameKind): readonly string[];
  /** The one name that a text means; the text itself as long as the names are not known. */
  meant(kind: NameKind, text: string): string | { unknown: string };
}

/** The databases that the console can be on. */
export interface Connections {
  readonly choices: readonly ConnectionChoice[];
  readonly current: ConnectionChoice;
  /** What a person calls it: its name, or what it is where it has none. */
  readonly nameOfCurrent: string;
  /** Connects to the database of a name, or says why not. */
  goTo(name: string): void;
  connect(choice: ConnectionChoice): Promise<void>;
  /** Gives up the attempt that has not answered yet. */
  callOff(): void;
}

/** What the alert rules of the config file found. */
export interface AlertReport {
  readonly rules: readonly AlertRule[];
  readonly state: { readonly active: readonly Alert[]; readonly history: readonly AlertEvent[] };
  isPaused(live: LiveState): boolean;
}

/** What views and commands may do; the app implements it. */
export interface Context {
  readonly model: Model;
  readonly keys: Keymap<Command>;
  readonly colonCommands: readonly ColonCommand[];
  /** The focused view. */
  readonly front: View;
  readonly focus: Focus;
  readonly database: Database | undefined;
  /** Where the panes' rows come from. */
  readonly source: LiveSource | undefined;
  /** The recording that is played instead of a database. */
  readonly player: Player | undefined;
  readonly actions: Actions | undefined;
  /** Undefined in a recording. */
  readonly connections: Connections | undefined;
  readonly drilldowns: Drilldowns;
  readonly names: Names;
  readonly alerts: AlertReport;
  update(change: Partial<Model>): void;
  /** A line in place of the key bar, until the next key or for some seconds. */
  say(text: string, tone?: Tone): void;
  push(view: View): void;
  pop(): void;
  /** Puts another view into the place of one on the stack; does nothing when it is gone. */
  replace(old: View, view: View): void;
  /** Runs a command, or says why it can do nothing now. */
  run(command: Command, key: string): void;
  copy(text: string): ClipboardCopy;
  log(text: string): void;
  /** Ctrl-C: ends at once, but asks in the middle of an action. */
  interrupt(): void;
  /** Ends the program; an action that runs is cancelled on the way out. */
  end(exitCode: number): void;
}
