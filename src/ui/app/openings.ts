import { ConsoleError } from '../../db/errors.js';
import type { Opened, OpenedRecords, Opening } from '../../panes/opening.js';
import { usualLimits } from '../../panes/pane.js';
import { readShape } from '../../panes/shape.js';
import type { CommandId } from '../keys/key-map.js';
import { listView, refreshedList } from '../model/list-view.js';
import { initialFolds } from '../model/record-tree.js';
import { refreshed, traceView } from '../model/trace-view.js';
import { isOpened, type OpenedBy, type OpenedView } from '../model/views.js';
import type { ConsoleApp } from './console-app.js';
import { whyOffline } from './offline.js';

/** What Enter has opened over the panes: reads it, and again while it changes. */
export class Openings {
  readonly #app: ConsoleApp;
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  #held: string[] = [];

  constructor(app: ConsoleApp) {
    this.#app = app;
  }

  /** Lays it over what is there; it says that it is asking until it is read. */
  open(opening: Opening): void {
    if (!this.#app.database) {
      this.#app.say(whyOffline(this.#app), 'warning');
      return;
    }
    this.#lastId += 1;
    const by: OpenedBy = { id: this.#lastId, opening };
    this.#held = [];
    this.#app.push({ ...by, kind: 'waiting', failure: undefined });
    void this.#read(by);
  }

  /** Lays over what there is what needs no reading. */
  show(opened: OpenedRecords): void {
    this.#lastId += 1;
    const opening = { title: opened.title, read: () => Promise.resolve(opened) };
    this.#app.push(
      viewOf({ id: this.#lastId, opening, kind: 'waiting', failure: undefined }, opened),
    );
  }

  /** Reads what is in front again. */
  refresh(): void {
    const view = this.#app.model.views.at(-1);
    if (view && isOpened(view)) void this.#read(view);
  }

  /** Keys that come before what they are meant for is there are kept until it is. */
  holds(key: string): boolean {
    const view = this.#app.model.views.at(-1);
    if (view?.kind !== 'waiting' || view.failure) return false;
    const command = this.#app.keys.bindingOf('waiting', key)?.command;
    if (command !== undefined && wayOut.has(command)) return false;
    this.#held.push(key);
    return true;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async #read(by: OpenedBy): Promise<void> {
    const { database } = this.#app;
    if (!database) return;
    let opened: Opened;
    try {
      // The catalogue is read first: a table may have been changed.
      const shape = await readShape(database);
      opened = await by.opening.read({
        shape,
        windowMs: this.#app.model.live?.windowMs ?? 0,
        untilMs: this.#app.model.live?.untilMs,
        read: (text, values) => database.read(text, values, usualLimits),
      });
    } catch (error) {
      this.#failed(by, error);
      return;
    }
    const view = this.#find(by);
    if (!view) return;
    this.#app.replaceView(view, viewOf(view, opened));
    this.#refreshLater(by, opened);
    if (view.kind !== 'waiting') return;
    const held = this.#held.splice(0);
    // Something was laid over it meanwhile, as the help: they are not meant for that.
    const front = this.#app.model.views.at(-1);
    if (front && isOpened(front) && front.id === by.id)
      for (const key of held) this.#app.press(key);
  }

  /** A failed look again leaves what was read before. */
  #failed(by: OpenedBy, error: unknown): void {
    const view = this.#find(by);
    if (!view) return;
    const message = error instanceof Error ? error.message : String(error);
    const hint = error instanceof ConsoleError ? error.hint : undefined;
    if (view.kind === 'waiting') {
      this.#app.replaceView(view, { ...view, failure: { message, hint } });
    } else {
      this.#app.say(`It could not be read again: ${message}`, 'warning');
    }
  }

  /** A trace that runs is looked at again as often as the panes are. */
  #refreshLater(by: OpenedBy, opened: Opened): void {
    clearTimeout(this.#timer);
    if (opened.kind !== 'trace' || opened.tree.running === 0) return;
    const again = () => {
      const { views, live } = this.#app.model;
      if (!this.#find(by)) return;
      const isSeen = views.at(-1)?.kind === 'trace' && live?.paused !== true;
      if (isSeen && live?.connection.state === 'connected') void this.#read(by);
      else this.#timer = setTimeout(again, leastRefreshMs).unref();
    };
    const cadenceMs = this.#app.model.live?.cadenceMs ?? leastRefreshMs;
    this.#timer = setTimeout(again, Math.max(cadenceMs, leastRefreshMs)).unref();
  }

  #find({ id }: OpenedBy): OpenedView | undefined {
    return this.#app.model.views.filter(isOpened).find((view) => view.id === id);
  }
}

/** They are meant for what is waited for, not for what comes. */
const wayOut: ReadonlySet<CommandId> = new Set(['back', 'help', 'refreshView'] as const);

const leastRefreshMs = 1_000;

function newRecord() {
  return { folds: initialFolds, index: 0, place: { top: 0, height: 1 }, search: undefined };
}

function viewOf(view: OpenedView, opened: Opened): OpenedView {
  const { id, opening } = view;
  switch (opened.kind) {
    case 'trace':
      return view.kind === 'trace' ? refreshed(view, opened) : traceView({ id, opening }, opened);
    case 'list':
      return view.kind === 'list' ? refreshedList(view, opened) : listView({ id, opening }, opened);
    case 'records': {
      const { title, rows, sections = [] } = opened;
      const { folds, index, place, search } = view.kind === 'record' ? view : newRecord();
      return { id, opening, kind: 'record', title, rows, sections, folds, index, place, search };
    }
  }
}
