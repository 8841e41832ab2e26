import { carryFlags, commandFlags } from '../../db/connection/command-flags.js';
import type { Database } from '../../db/database.js';
import { Alerting } from '../../live/alerts/alert-watch.js';
import type { Player } from '../../live/recording/player.js';
import { Store, type LiveSource } from '../../live/state.js';
import type { Tone } from '../../panes/contract/column.js';
import { fieldsOf, withUnits } from '../../panes/contract/filter.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { readShape } from '../../panes/contract/shape.js';
import { nameKinds, readNames, unknownName, type NameKind } from '../../panes/reading/names.js';
import { paneById, type AnyPane, type PaneId } from '../../panes/registry.js';
import type { ClipboardCopy } from '../../terminal/clipboard.js';
import { colonCommands } from '../commands/registry.js';
import type {
  Actions,
  Command,
  Connections,
  Context,
  Focus,
  Model,
  Names,
  View,
} from '../context.js';
import { Keymap } from '../keymap.js';
import { initialState } from '../model/model.js';
import {
  leftToFilter,
  type PaneView,
  rowsInView,
  shownPane,
  withFilter,
} from '../model/pane-view.js';
import { overview } from '../views/overview.js';
import { QuitView } from '../views/quit.js';
import { scopes } from '../views/registry.js';
import { Attachment } from './attachment.js';
import { OpenedDrilldowns } from './drilldowns.js';
import type { AppSettings, AppTerminal } from './options.js';

/** The implementation of Context: holds the one model that is drawn, and passes calls on to the parts of the app. */
export class ConsoleApp implements Context {
  readonly store: Store<Model>;
  readonly attachment: Attachment = new Attachment(this);
  readonly keys: Keymap<Command>;
  readonly colonCommands = colonCommands;
  readonly alerts: Alerting;
  readonly drilldowns: OpenedDrilldowns = new OpenedDrilldowns(this);
  readonly focus: Focus = new FocusedPane(this);
  readonly names: KnownNames = new KnownNames(this);
  connections: Connections | undefined;
  readonly #idle = new IdleWork(this);
  readonly #message = new MessageLine(this);
  readonly #terminal: AppTerminal;

  constructor(terminal: AppTerminal, { alerts, keys, shellCommands }: AppSettings = {}) {
    this.#terminal = terminal;
    this.alerts = new Alerting(alerts, (text, how) => terminal.notify(text, how));
    this.keys = new Keymap(scopes, keys, (text) => {
      const { database } = this;
      return database ? carryFlags(text, commandFlags(database), shellCommands) : text;
    });
    this.store = new Store<Model>({ ...initialState(terminal.size), views: [overview] });
    terminal.onResize(() => this.update({ size: terminal.size }));
  }

  get model(): Model {
    return this.store.getState();
  }

  get front(): View {
    return this.model.views.at(-1) ?? overview;
  }

  get database(): Database | undefined {
    return this.attachment.database;
  }

  get source(): LiveSource | undefined {
    return this.attachment.source;
  }

  get player(): Player | undefined {
    return this.attachment.player;
  }

  get actions(): Actions | undefined {
    return this.attachment.actions;
  }

  update(change: Partial<Model>): void {
    this.store.update(change);
    this.#idle.check();
    this.attachment.look();
  }

  say(text: string, tone: Tone = 'muted'): void {
    this.#message.show(this.keys.inShell(text), tone);
  }

  /** The same dialog is not opened twice in a row; drill-downs may be stacked. */
  push(view: View): void {
    const { front } = this;
    if (!view.openedBy && front.constructor === view.constructor) return;
    if (view.isPrompt) this.names.learn();
    this.update({ views: [...this.model.views, view] });
  }

  pop(): void {
    const { views } = this.model;
    if (views.length > 1) this.update({ views: views.slice(0, -1) });
  }

  replace(old: View, view: View): void {
    const { views } = this.model;
    const index = views.indexOf(old);
    if (index >= 0) this.update({ views: views.with(index, view) });
  }

  run(command: Command, key: string): void {
    const reason = command.unavailable?.(this, key);
    if (reason === undefined) command.run(this, key);
    else this.say(reason, 'warning');
    this.attachment.catchUp();
  }

  copy(text: string): ClipboardCopy {
    return this.#terminal.copy(text);
  }

  log(text: string): void {
    this.#terminal.log(text);
  }

  interrupt(): void {
    if (this.actions?.isRunning) this.push(new QuitView());
    else this.end(130);
  }

  end(exitCode: number): void {
    this.#terminal.end(exitCode);
  }

  /** Ends: stops timers, reading and idle work, and closes the database. */
  async stop(): Promise<void> {
    this.#message.stop();
    this.drilldowns.stop();
    this.#idle.stop();
    await this.attachment.stop();
  }
}

/** The focused pane of the model, and its rows. */
class FocusedPane implements Focus {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  get pane(): AnyPane {
    return shownPane(paneById(this.#context.model.focus), this.view);
  }

  get view(): PaneView {
    const { panes, focus } = this.#context.model;
    return panes[focus];
  }

  get rows(): readonly object[] {
    return this.#rowsOf(this.view);
  }

  filter(text: string): void {
    const { pane, view } = this;
    const filter = withUnits(text, fieldsOf(pane));
    this.change(withFilter(pane, this.#rowsOf({ ...view, filter }), view, filter));
  }

  change(change: Partial<PaneView>): void {
    const { panes, focus } = this.#context.model;
    this.#context.update({ panes: { ...panes, [focus]: { ...panes[focus], ...change } } });
  }

  #rowsOf(view: PaneView): readonly object[] {
    const { live, focus } = this.#context.model;
    if (!live) return [];
    const { rows, asOf, filter } = live.panes[focus];
    return rowsInView(this.pane, rows, leftToFilter(view, filter), asOf?.getTime() ?? 0);
  }

  goTo(focus: PaneId): void {
    const { overview, views } = this.#context.model;
    const home = overview.includes(focus) ? { home: focus } : {};
    this.#context.update({ focus, ...home, views: views.filter(({ openedBy }) => !openedBy) });
  }
}

/** Names change rarely: they are read again only after this long. */
const learnedEveryMs = 30_000;

/** The names that commands and filters complete, read from the database when a prompt was last opened. */
class KnownNames implements Names {
  readonly #app: Context;
  #known = new Map<NameKind, readonly string[]>();
  #database: Context['database'];
  #learnedAtMs = -Infinity;

  constructor(app: Context) {
    this.#app = app;
  }

  of(kind: NameKind): readonly string[] {
    return this.#database === this.#app.database ? (this.#known.get(kind) ?? []) : [];
  }

  meant(kind: NameKind, text: string): string | { unknown: string } {
    const names = this.of(kind);
    const wanted = text.toLowerCase();
    const exact = names.find((name) => name.toLowerCase() === wanted);
    if (exact !== undefined || names.length === 0) return exact ?? text;
    const within = names.filter((name) => name.toLowerCase().includes(wanted));
    const [only] = within;
    if (only !== undefined && within.length === 1) return only;
    const hint = unknownName(kind, text, only === undefined ? names : within);
    return { unknown: `${hint.charAt(0).toUpperCase()}${hint.slice(1)}` };
  }

  /** Reads them in the background, so that typing never waits. */
  learn(): void {
    const { database } = this.#app;
    const nowMs = performance.now();
    const isFresh = database === this.#database && nowMs - this.#learnedAtMs < learnedEveryMs;
    if (!database || isFresh) return;
    if (database !== this.#database) this.#known = new Map();
    this.#database = database;
    this.#learnedAtMs = nowMs;
    void this.#read(database).catch((error: unknown) => {
      this.#learnedAtMs = -Infinity;
      this.#app.log(`names for completion were not read: ${String(error)}`);
    });
  }

  async #read(database: NonNullable<Context['database']>): Promise<void> {
    const shape = await readShape(database);
    for (const kind of nameKinds) {
      const names = await readNames((text) => database.read(text, [], usualLimits), shape, kind);
      if (database !== this.#app.database) return;
      this.#known.set(kind, names);
      this.#app.update({});
    }
  }
}

const messageMs = 6_000;

/** The line in place of the key bar: until the next key, or for some seconds. */
class MessageLine {
  readonly #context: Context;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  show(text: string, tone: Tone): void {
    clearTimeout(this.#timer);
    this.#context.update({ message: { text, tone } });
    this.#timer = setTimeout(() => this.clear(), messageMs);
    this.#timer.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
    if (this.#context.model.message) this.#context.update({ message: undefined });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** How often the screen shows how far idle work is. */
const shownEveryMs = 100;

/** Does what a view leaves to idle moments, a few milliseconds at a time. */
class IdleWork {
  readonly #context: Context;
  #next: NodeJS.Immediate | undefined;
  #shownAt = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Called after every change of what is shown. */
  check(): void {
    if (this.#next === undefined && this.#work()) {
      this.#next = setImmediate(() => this.#run());
    }
  }

  stop(): void {
    clearImmediate(this.#next);
  }

  /** Of the focused view, or of the one behind the line that is typed into. */
  #work(): (() => void) | undefined {
    const view: View | undefined = this.#context.model.views.findLast(({ isPrompt }) => !isPrompt);
    return view?.idleWork?.(this.#context);
  }

  #run(): void {
    this.#next = undefined;
    const work = this.#work();
    if (!work) return;
    const start = performance.now();
    work();
    if (this.#work() === undefined || start - this.#shownAt > shownEveryMs) {
      this.#shownAt = start;
      this.#context.update({});
    } else {
      this.check();
    }
  }
}
