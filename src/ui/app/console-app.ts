import { carryFlags, commandFlags } from '../../db/connection/command-flags.js';
import type { Database } from '../../db/database.js';
import type { Player } from '../../live/recording/player.js';
import type { Recorder } from '../../live/recording/recorder.js';
import type { LiveSource } from '../../live/state.js';
import { panes, type PaneId } from '../../panes/registry.js';
import type { Tone } from '../../panes/contract/column.js';
import type { ClipboardCopy } from '../../terminal/clipboard.js';
import { setChoice } from '../commands/panes.js';
import { colonCommands } from '../commands/registry.js';
import type { Command, Connections, Context, Focus, Model, View } from '../context.js';
import type { ConnectionInfo } from '../draw/header.js';
import { type KeyChoices, Keymap, keyText } from '../keymap.js';
import { isTooSmall, type Size } from '../layout/layout.js';
import { detached, initialState, layoutOf, ModelStore } from '../model/model.js';
import { overview } from '../views/overview.js';
import { leaveIfAsked, QuitView } from '../views/quit.js';
import { scopes } from '../views/registry.js';
import { ActionDesk } from './actions.js';
import { Alerting, noAlertSettings, type AlertSettings } from './alerting.js';
import { OpenedDrilldowns } from './drilldowns.js';
import { FocusedPane } from './focus.js';
import { KnownNames } from './known-names.js';
import { FollowedSource } from './followed-source.js';
import { IdleWork, MessageLine } from './timed.js';

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

/** What the config file says of the console, and what the program tells it. */
export type AppSettings = {
  alerts?: AlertSettings | undefined;
  keys?: KeyChoices | undefined;
  /** Commands of the shell that ask a database: where a text names one, it leads to the one that is shown. */
  shellCommands?: ReadonlySet<string>;
};

/** How long connections may take to close. */
const goodbyeMs = 300;

/**
 * The console between keys, database and screen: it holds the one model that is drawn, and hands each
 * key to the focused view or to its command. Views and commands know it as a Context only.
 */
export class ConsoleApp implements Context {
  #keys: Keymap<Command>;
  readonly colonCommands = colonCommands;
  readonly alerts: Alerting;
  readonly drilldowns: OpenedDrilldowns = new OpenedDrilldowns(this);
  readonly focus: Focus = new FocusedPane(this);
  readonly names: KnownNames = new KnownNames(this);
  connections: Connections | undefined;
  readonly #idle = new IdleWork(this);
  readonly #followed = new FollowedSource(this);
  readonly #message = new MessageLine(this);
  readonly #terminal: AppTerminal;
  readonly #settings: AppSettings;
  readonly #store: ModelStore<Model>;
  #database: Database | undefined;
  #actions: ActionDesk | undefined;

  constructor(terminal: AppTerminal, settings: AppSettings = {}) {
    const { alerts = noAlertSettings, keys } = settings;
    this.#terminal = terminal;
    this.#settings = settings;
    this.#keys = new Keymap(scopes, keys);
    this.alerts = new Alerting(alerts, (text, how) => terminal.notify(text, how));
    this.#store = new ModelStore<Model>({ ...initialState(terminal.size), views: [overview] });
    terminal.onResize(() => this.update({ size: terminal.size }));
  }

  get getModel(): () => Model {
    return this.#store.get;
  }

  get subscribe(): (listener: () => void) => () => void {
    return this.#store.subscribe;
  }

  get model(): Model {
    return this.#store.get();
  }

  get keys(): Keymap<Command> {
    return this.#keys;
  }

  get front(): View {
    return this.model.views.at(-1) ?? overview;
  }

  get database(): Database | undefined {
    return this.#database;
  }

  get source(): LiveSource | undefined {
    return this.#followed.source;
  }

  get player(): Player | undefined {
    return this.#followed.player;
  }

  get actions(): ActionDesk | undefined {
    return this.#actions;
  }

  /** The panes that are on the screen now. */
  get visiblePanes(): PaneId[] {
    const { model } = this;
    if (isTooSmall(model.size) || model.views.some(({ covers }) => covers)) return [];
    return layoutOf(model).places.map(({ id }) => id);
  }

  update(change: Partial<Model>): void {
    this.#store.update(change);
    this.#idle.check();
    this.#askFilters();
    this.source?.setVisible([...this.visiblePanes, ...this.alerts.panes]);
  }

  /** What a filter chooses is asked of the server once it is typed. */
  #askFilters(): void {
    const { panes: views, views: stack } = this.model;
    if (stack.some(({ isPrompt }) => isPrompt)) return;
    for (const { id, asksFilter } of panes) {
      if (asksFilter) this.source?.setFilter(id, views[id].filter);
    }
  }

  say(text: string, tone: Tone = 'muted'): void {
    this.#message.show(this.keys.inShell(text), tone);
  }

  /** A dialog is opened once; what Enter opens may be opened again and again. */
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

  /** A key goes to the focused view, then to the command of its scope. */
  press(key: string): void {
    const { front, keys } = this;
    if (isTooSmall(this.model.size)) {
      const quits = keys.commandOf(overview.scope, key)?.id === 'quit';
      if (quits && !this.actions?.isRunning) this.end(0);
      return;
    }
    this.#message.clear();
    if (front.takesKey?.(this, key)) return;
    const command = keys.commandOf(front.scope, key);
    if (!command) {
      const help = front === overview ? `; ${keys.keyOf('help')} shows the keys` : '';
      this.say(`${keyText(key)} does nothing here${help}`);
      return;
    }
    this.run(command, key);
    this.#followed.catchUp();
  }

  run(command: Command, key: string): void {
    const reason = command.unavailable?.(this, key);
    if (reason === undefined) command.run(this, key);
    else this.say(reason, 'warning');
  }

  /** A pasted text: taken by a view that takes texts, and by nothing else. */
  paste(text: string): void {
    const { front } = this;
    if (!front.takesPaste) return;
    this.#message.clear();
    front.takesPaste(this, text);
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

  /** The connection is open: the header knows where this is. */
  attach(database: Database, place: ConnectionInfo): void {
    this.#database = database;
    const { keys, shellCommands = new Set<string>() } = this.#settings;
    const flags = commandFlags(database);
    this.#keys = new Keymap(scopes, keys, (text) => carryFlags(text, flags, shellCommands));
    this.update({ place });
  }

  /** The panes open. */
  go(database: Database, engine: LiveSource, recorder?: Recorder): void {
    this.#actions = new ActionDesk(this, database, engine, () => {
      this.update({ welcome: undefined, offersDemo: database.capabilities.embedded });
      leaveIfAsked(this);
    });
    for (const pane of panes) setChoice(engine, pane, this.model.panes[pane.id]);
    this.#followed.followEngine(engine, recorder);
  }

  /** The panes show a recording. */
  play(player: Player, place: ConnectionInfo): void {
    this.update({ place });
    this.#followed.followPlayer(player);
  }

  /**
   * Leaves the database for another: nothing of it is shown, asked or followed any more, and its
   * connections are closed.
   */
  detach(): void {
    const database = this.#database;
    this.drilldowns.stop();
    this.#followed.stop();
    this.alerts.restart();
    this.#actions = this.#database = undefined;
    this.#message.clear();
    this.update({ ...detached(this.model), views: [overview] });
    database?.abandon().catch((error: unknown) => {
      this.log(`a connection was not closed: ${String(error)}`);
    });
  }

  /** Asks nothing any more; waits for a cancelled action to clean up, but not for a server that is silent. */
  async stop(): Promise<void> {
    this.#message.stop();
    this.drilldowns.stop();
    this.#idle.stop();
    this.#followed.stop();
    await this.actions?.stop();
    const silent = new Promise((resolve) => setTimeout(resolve, goodbyeMs).unref());
    await Promise.race([this.#database?.abandon().catch(() => undefined), silent]);
  }
}
