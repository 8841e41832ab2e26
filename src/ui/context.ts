import type { ReactNode } from 'react';
import type { Database } from '../db/database.js';
import type { Failure } from '../db/errors.js';
import type { Alert, AlertEvent, AlertRule } from '../live/alerts/alert-watch.js';
import type { Player } from '../live/recording/player.js';
import type { LiveSource, LiveState } from '../live/state.js';
import type { ChosenLater } from '../maintenance/action.js';
import type { OfferedAction } from '../maintenance/registry.js';
import type { Tone } from '../panes/contract/column.js';
import type { FilterField } from '../panes/contract/filter.js';
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

/** The demo writes its history backwards: `filled` is the written share (0..1), which reaches back to `since` (milliseconds since 1970). */
export type Filling = { filled: number; since: number };

export type DemoTraffic = {
  /** How long no traffic was written before this start, ms; undefined: this is the first start, or traffic never stopped. */
  pauseMs(): number | undefined;
  onFilling(listener: (filling: Filling) => void): void;
};

/** A database that the console can be on: of the config file, the embedded one, or the one it was opened on. */
export type ConnectionChoice = {
  /** What is typed behind `:connect`. */
  name: string;
  /** Where it is, without any secret. */
  description: string;
  /** Shown in the header; the embedded database and one without a name have none. */
  badge: ConnectionBadge | undefined;
  readOnly: boolean;
  cadenceMs: number | undefined;
  windowMs: number | undefined;
  budgetUsdPerDay?: number | undefined;
  /** Starts the collector that writes agents' events into it; absent: a collector cannot be given this database. */
  follow?: (() => Promise<void>) | undefined;
  /** Only of the demo: its traffic, which is written while it is shown. */
  traffic?: DemoTraffic;
  /**
   * Opens a new connection, which the caller closes. `onProgress` gets a line while the embedded database starts. A server
   * that does not answer within `answersWithinMs` is given up; default: the limit of its connection.
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
  /** It acts on the focused pane: not offered in a view that Enter has opened. */
  ofPane?: true;
  /** A recording cannot do it. */
  needsDatabase?: true;
  /** What may be typed behind the name; absent where only `values` may. */
  argument?: string;
  /** What was typed is done as it stands, or `run` says why not; absent: it may be a part of one of `values`. */
  takesAnyText?: true;
  /** What one of `values` is, where only they may follow: `order`. */
  noun?: string;
  /** It has no lines of its own in the list of everything: others have its values. */
  isUnlisted?: true;
  /** The argument is a name of one of these kinds; Tab completes it. */
  names?: readonly NameKind[];
  /** What can be chosen; '' where nothing follows the name. */
  values?(context: Context): readonly string[];
  /** What can be chosen for a pane; it can also be typed after the pane's name: `usage agent`. */
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
  /** It covers the body of the screen: the panes behind it are not read. */
  readonly covers?: boolean;
  /** Set on a view that Enter has opened: which drill-down it is, and how to read it again. Going to a pane closes such views. */
  readonly openedBy?: OpenedBy;
  /** It is a line to type into; the view that it is about stays visible behind it. */
  readonly isPrompt?: boolean;
  /** It asks about leaving: it stays in front of an action's dialog. */
  readonly asksToLeave?: boolean;
  /** It asks about leaving for another database, or waits for one: a next attempt takes its place. */
  readonly endsWithConnection?: boolean;
  /** What it is called where Esc leads back to it from a connection that is being opened; otherwise that is the database in front. */
  readonly nameOnReturn?: string;
  /** It shows how long something takes: it is drawn every second. */
  readonly showsTime?: boolean;
  /** The connection that is being opened, for the header. */
  readonly destination?: { toward: ConnectionChoice; connecting: string };
  /** Absent: the view draws the bottom line only. */
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
  /** For the next (1) or previous (-1) row, where Enter opens something: a function that moves the cursor there and returns what to open. */
  beside?(context: Context, by: 1 | -1): (() => Opening) | undefined;
  /** What `:copy` copies. */
  copyable?(context: Context): Copyable | undefined;
  /** What `:export` writes. */
  exportable?(context: Context): Exportable | undefined;
  /** Why there is nothing to copy or to export; absent: a general text is shown. */
  whyNothingChosen?(context: Context): string | undefined;
  readonly searchable?: Searchable;
  /** How `/` filters its rows. */
  filtered?(context: Context): Filtered | undefined;
  /** Why what it shows does not depend on the time window: the keys of the window do nothing then. */
  readonly whyNoWindow?: string | undefined;
  /** While it is focused it is read again as often as the panes are. */
  readonly isLive?: boolean;
  /** Of a list: which rows to read next. */
  readonly listRequest?: ListRequest;
  /** Of a trace: how many events to read. */
  readonly eventsWanted?: number;
  /** Keys that were pressed before it was read: the view that takes its place gets them. */
  readonly heldKeys?: readonly string[];
  /** It needs more than was read: it is read again at once. */
  readonly isIncomplete?: boolean;
  /** The view after a later reading that failed. */
  notRead?(): View;
  /** Some milliseconds of work that can wait for an idle moment; undefined: nothing is left to do. */
  idleWork?(context: Context): (() => void) | undefined;
}

export type OpenedBy = { readonly id: number; readonly opening: Opening };

/** A text for the clipboard, and what it is: `the row as JSON`. `text` may be a getter: a long text is made only when it is copied. */
export type Copyable = { readonly text: string; readonly what: string };

/** How `/` filters the rows of a view. */
export interface Filtered {
  readonly filter: string;
  /** Shows only the rows that match; '' shows all. */
  show(text: string): void;
  /** What its terms may be of. */
  readonly fields: readonly FilterField[];
  /** What rows that are there have in a field. */
  values(field: FilterField): readonly string[];
}

/** How `/` searches a view. */
export interface Searchable {
  readonly search: Search | undefined;
  /** The next match is always on another line, even if a line has several. */
  readonly linesOnly: boolean;
  /** What is searched, where not all of it is read: `the first 2,000 events`. */
  readonly among?: string | undefined;
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
  /** Shows rows that are there already: nothing is read. */
  show(records: OpenedRecords): void;
  /** Reads a drill-down again; default: the focused one. */
  refresh(openedBy?: OpenedBy): void;
  /**
   * Makes a function that reads without showing anything, as the rest of a list for an export. It keeps the database and
   * the window of this moment, whatever is chosen later. The function throws ConsoleError.
   */
  reader(): (opening: Opening, which: WhichRows) => Promise<Opened>;
}

/** The one action that may be open: from its preview to its result. */
export interface Actions {
  /** What the action's dialog shows; undefined: none is open. */
  readonly state: ActionState | undefined;
  /** Something is being changed now. */
  readonly isRunning: boolean;
  /** The server can finish it without the console. */
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
  /** Lets the server finish by itself, before the console ends. */
  leave(): void;
  close(): void;
}

/** Names that the database knows, for completion: agents, projects, hooks and others. */
export interface Names {
  of(kind: NameKind): readonly string[];
  /** The name that a typed text stands for; the text itself while the names are not loaded. */
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
  /** Gives up the connection attempt that is under way. */
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
