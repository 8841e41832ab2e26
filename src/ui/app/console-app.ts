import type { Database } from '../../db/database.js';
import type { Player } from '../../live/recording/player.js';
import type { Recorder } from '../../live/recording/recorder.js';
import type { LiveSource } from '../../live/source.js';
import type { AnyPane, PaneId, Tone } from '../../panes/pane.js';
import { panes } from '../../panes/registry.js';
import type { ConnectionBadge, Place } from '../draw/header.js';
import type { ClipboardCopy } from '../../terminal/clipboard.js';
import { PaneDrawer } from '../draw/pane-drawer.js';
import type { CommandId } from '../keys/key-map.js';
import { keyText } from '../keys/key-text.js';
import { Keys, type KeyChoices } from '../keys/keys.js';
import { isTooSmall, type Size } from '../layout/layout.js';
import {
  detached,
  initialModel,
  layoutOf,
  scopeOf,
  type Model,
  type SchemaStage,
} from '../model/model.js';
import type { PaneView } from '../model/pane-view.js';
import { rowsInView } from '../model/rows-in-view.js';
import { ModelStore } from '../model/store.js';
import { coversPanes, isOpened, type PromptView, type View } from '../model/views.js';
import { ActionDialog } from './action-dialog.js';
import type { ActionRunner } from './action-runner.js';
import { Alerting, noAlertSettings, type AlertSettings } from './alerting.js';
import { commands } from './commands.js';
import { FollowedSource } from './followed-source.js';
import type { Connections } from './connections.js';
import { MessageLine } from './message-line.js';
import { Openings } from './openings.js';
import { placeOf } from './place-of.js';
import { pasteIntoPrompt, typeIntoPrompt } from './prompt.js';
import { RecordGrowth } from './record-growth.js';

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

/** What the config file says of the console. */
export type AppSettings = { alerts?: AlertSettings | undefined; keys?: KeyChoices | undefined };

/** How long connections may take to close. */
const goodbyeMs = 300;

/**
 * The console between keys, database and screen: it holds the one model that is drawn. Components
 * read it; every change of it goes through here.
 */
export class ConsoleApp {
  readonly panes: readonly AnyPane[] = panes;
  readonly drawers: ReadonlyMap<PaneId, PaneDrawer> = new Map(
    panes.map(({ id }) => [id, new PaneDrawer()]),
  );
  /** Lines in view of the help, and lines there are: what a page and the end are. */
  viewExtent = { height: 1, length: 0 };
  /** What each key means. */
  readonly keys: Keys;
  /** What the rules of the config file have to tell. */
  readonly alerting: Alerting;
  /** What Enter has opened and what of it is in front; reads it again while it changes. */
  readonly openings = new Openings(this);
  readonly #growth = new RecordGrowth(this);
  /** Where it can go; undefined in a recording. */
  connections: Connections | undefined;
  readonly #followed = new FollowedSource(this);
  readonly #message = new MessageLine(this);
  readonly #terminal: AppTerminal;
  readonly #store: ModelStore<Model>;
  #database: Database | undefined;
  #dialog: ActionDialog | undefined;
  #answer: ((isYes: boolean) => void) | undefined;

  constructor(terminal: AppTerminal, { alerts = noAlertSettings, keys }: AppSettings = {}) {
    this.#terminal = terminal;
    this.keys = new Keys(keys);
    this.alerting = new Alerting(alerts, (text, how) => terminal.notify(text, how));
    this.#store = new ModelStore(initialModel(terminal.size));
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

  get database(): Database | undefined {
    return this.#database;
  }

  get engine(): LiveSource | undefined {
    return this.#followed.source;
  }

  /** The recording that is played instead of a database; undefined where there is one. */
  get player(): Player | undefined {
    return this.#followed.player;
  }

  get actions(): ActionRunner | undefined {
    return this.#dialog?.runner;
  }

  update(change: Partial<Model>): void {
    this.#store.update(change);
    this.#growth.check();
    this.engine?.setVisible([...this.visiblePanes, ...this.alerting.panes]);
  }

  /** The connection is open: the header knows where this is. */
  attach(database: Database, connection: ConnectionBadge | undefined): void {
    this.#database = database;
    this.update({ place: placeOf(database, connection) });
  }

  /** The panes open. */
  go(database: Database, engine: LiveSource, recorder?: Recorder): void {
    this.#dialog = new ActionDialog(this, database, engine);
    this.#followed.followEngine(engine, recorder);
  }

  /**
   * Leaves the database for another: nothing of it is shown, asked or followed any more, and its
   * connections are closed. How the panes are sorted stays.
   */
  detach(): void {
    const database = this.#database;
    this.openings.stop();
    this.#followed.stop();
    this.alerting.restart();
    this.#dialog = this.#database = undefined;
    this.#message.clear();
    this.update(detached(this.model));
    database?.abandon().catch((error: unknown) => {
      this.log(`a connection was not closed: ${String(error)}`);
    });
  }

  /** The panes show a recording. */
  play(player: Player, place: Place): void {
    this.update({ place });
    this.#followed.followPlayer(player);
  }

  /** Told by what draws the help. No part of the model: nothing is drawn from it. */
  measured(height: number, length: number): void {
    this.viewExtent = { height, length };
  }

  showSchema(stage: SchemaStage): void {
    this.update({ stage });
  }

  /** Resolves with the next y or n on the schema screen. */
  ask(): Promise<boolean> {
    return new Promise((resolve) => (this.#answer = resolve));
  }

  answer(isYes: boolean): void {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(isYes);
  }

  press(key: string): void {
    const { model } = this;
    if (isTooSmall(model.size)) {
      const quits = this.keys.bindingOf('panes', key)?.command === 'quit';
      if (quits && !this.actions?.isRunning) this.#terminal.end(0);
      return;
    }
    this.#message.clear();
    const scope = scopeOf(model);
    if (this.#takesText(key) || this.openings.holds(key)) return;
    const binding = this.keys.bindingOf(scope, key);
    if (!binding) {
      const help = scope === 'panes' ? `; ${this.keys.keyOf('help')} shows the keys` : '';
      this.say(`${keyText(key)} does nothing here${help}`);
      return;
    }
    this.run(binding.command, key);
    this.#followed.catchUp();
  }

  /** Runs a command of the key map, or says why it can do nothing now. */
  run(id: CommandId, key: string): void {
    const command = commands[id];
    const reason = command.unavailable?.(this, key);
    if (reason === undefined) command.run(this, key);
    else this.say(reason, 'warning');
  }

  /** Text that was pasted: taken by a prompt, and by nothing else. */
  paste(text: string): void {
    const view = this.promptView;
    if (!view) return;
    this.#message.clear();
    pasteIntoPrompt(this, view, text);
  }

  get promptView(): PromptView | undefined {
    const view = this.model.views.at(-1);
    return view?.kind === 'prompt' ? view : undefined;
  }

  /** A line in place of the key bar, until the next key or for some seconds. */
  say(text: string, tone: Tone = 'muted'): void {
    this.#message.show(text, tone);
  }

  /** Ctrl-C: ends at once, but not in the middle of an action. */
  interrupt(): void {
    if (this.actions?.isRunning) this.push({ kind: 'quit' });
    else this.#terminal.end(130);
  }

  quit(): void {
    if (this.actions?.isRunning) this.push({ kind: 'quit' });
    else this.#terminal.end(0);
  }

  /** Who asked to leave while an action ran is let out; not to another database, where nobody would see that it failed. */
  actionEnded(): void {
    const { views } = this.model;
    const leaving = views.find((view) => view.kind === 'quit');
    if (!leaving?.chosen) return;
    const failed = this.actions?.view?.result?.tone === 'error';
    if (leaving.toward && failed) this.update({ views: views.filter((view) => view !== leaving) });
    else if (leaving.toward) void this.connections?.connect(leaving.toward);
    else this.#terminal.end(0);
  }

  /** Ends although an action runs; it is cancelled on the way out. */
  quitNow(): void {
    this.#terminal.end(0);
  }

  push(view: View): void {
    const { views } = this.model;
    if (!isOpened(view) && views.at(-1)?.kind === view.kind) return;
    this.update({ views: [...views, view] });
  }

  pop(): void {
    this.update({ views: this.model.views.slice(0, -1) });
  }

  /** Changes the view of a kind that is in front of the others of it. */
  changeView<Kind extends View['kind']>(
    kind: Kind,
    change: (view: Extract<View, { kind: Kind }>) => View,
  ): void {
    const view = this.model.views.findLast(
      (candidate): candidate is Extract<View, { kind: Kind }> => candidate.kind === kind,
    );
    if (view) this.replaceView(view, change(view));
  }

  /** Puts another view into the place of one that lies over the panes; does nothing when it is gone. */
  replaceView(old: View, view: View): void {
    const { views } = this.model;
    const index = views.indexOf(old);
    if (index >= 0) this.update({ views: views.with(index, view) });
  }

  /** The panes that are on the screen now. */
  get visiblePanes(): PaneId[] {
    const { model } = this;
    if (isTooSmall(model.size) || model.views.some(coversPanes)) return [];
    return layoutOf(model).places.map(({ id }) => id);
  }

  get focusedPane(): AnyPane {
    const { focus } = this.model;
    const pane = this.panes.find(({ id }) => id === focus) ?? this.panes[0];
    if (!pane) throw new Error('there are no panes');
    return pane;
  }

  /** The rows of the focused pane in the order in which they are shown. */
  get focusedRows(): readonly object[] {
    const { live, focus, panes: views } = this.model;
    if (!live) return [];
    const { rows, asOf } = live.panes[focus];
    return rowsInView(this.focusedPane, rows, views[focus], asOf?.getTime() ?? 0);
  }

  changePane(change: Partial<PaneView>): void {
    const { focus, panes: views } = this.model;
    this.update({ panes: { ...views, [focus]: { ...views[focus], ...change } } });
  }

  log(text: string): void {
    this.#terminal.log(text);
  }

  copy(text: string): ClipboardCopy {
    return this.#terminal.copy(text);
  }

  /** Asks nothing any more, and waits for an action that is cancelled to have tidied up, but not for a server that is silent. */
  async stop(): Promise<void> {
    this.#message.stop();
    this.openings.stop();
    this.#growth.stop();
    this.#followed.stop();
    await this.actions?.stop();
    const silent = new Promise((resolve) => setTimeout(resolve, goodbyeMs).unref());
    await Promise.race([this.#database?.abandon().catch(() => undefined), silent]);
  }

  #takesText(key: string): boolean {
    const view = this.promptView;
    return view ? typeIntoPrompt(this, view, key) : (this.#dialog?.takesText(key) ?? false);
  }
}
