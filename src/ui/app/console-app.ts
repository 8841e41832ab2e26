import { carryFlags, commandFlags } from '../../db/connection/command-flags.js';
import type { Database } from '../../db/database.js';
import { Alerting } from '../../live/alerts/alert-watch.js';
import type { Player } from '../../live/recording/player.js';
import { Store, type LiveSource } from '../../live/state.js';
import type { Tone } from '../../panes/contract/column.js';
import type { ClipboardCopy } from '../../terminal/clipboard.js';
import { colonCommands } from '../commands/registry.js';
import type { Actions, Command, Connections, Context, Focus, Model, View } from '../context.js';
import { Keymap } from '../keymap.js';
import { initialState } from '../model/model.js';
import { overview } from '../views/overview.js';
import { QuitView } from '../views/quit.js';
import { scopes } from '../views/registry.js';
import { Attachment } from './attachment.js';
import { OpenedDrilldowns } from './drilldowns.js';
import { FocusedPane } from './focus.js';
import { KnownNames } from './known-names.js';
import type { AppSettings, AppTerminal } from './options.js';
import { IdleWork, MessageLine } from './timed.js';

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
