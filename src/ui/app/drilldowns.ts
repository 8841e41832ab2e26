import { ConsoleError, failureOf, type ErrorCode } from '../../db/errors.js';
import type {
  DetailAccess,
  Opened,
  OpenedRecords,
  Opening,
  PaneRows,
} from '../../panes/contract/opening.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { readShape } from '../../panes/contract/shape.js';
import { findPane } from '../../panes/registry.js';
import { mostTimelineEvents } from '../../panes/trace/trace-opening.js';
import { whyOffline } from '../commands/kinds.js';
import { cursorAt } from '../commands/rows.js';
import type { Context, Drilldowns, OpenedBy, View, WhichRows } from '../context.js';
import { strings } from '../strings.js';
import { failedView, openedView, WaitingView } from '../views/waiting.js';
import { pressKey } from './input.js';

const leastRefreshMs = 1_000;
/** How often to check whether a view is due to be read again. */
const tickMs = 250;
/** How often to read again what is shown of the past, which changes little. */
const pastIntervalMs = 30_000;

const waits: ReadonlySet<ErrorCode> = new Set(['lock_timeout', 'busy']);

/** The views that Enter opens: reads each, and reads it again while it changes. */
export class OpenedDrilldowns implements Drilldowns {
  readonly #app: Context;
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Ids of what is being read, and of what is to be read once more after that. */
  readonly #reading = new Set<number>();
  readonly #again = new Set<number>();
  /** When an opened view is to be read again, by its id. */
  readonly #dueAt = new Map<number, number>();

  constructor(app: Context) {
    this.#app = app;
  }

  /** Pushes a view that says it is being read, until the answer replaces it. */
  open(opening: Opening): void {
    if (opening.leadsTo) {
      this.#goTo(opening.leadsTo);
      return;
    }
    if (!this.#app.database) {
      this.#app.say(whyOffline(this.#app), 'warning');
      return;
    }
    const openedBy = this.#numbered(opening);
    this.#app.push(new WaitingView(openedBy));
    void this.#read(openedBy);
  }

  #goTo({ pane: name, filter, key }: PaneRows): void {
    const pane = findPane(name);
    if (!pane) return;
    const { focus } = this.#app;
    focus.goTo(pane.id);
    focus.filter(filter);
    const index = focus.rows.findIndex((row) => focus.pane.rowKey(row) === key);
    if (index >= 0) focus.change(cursorAt(this.#app, index));
    else if (filter === '') this.#app.say(`${pane.title} no longer has that row`, 'warning');
  }

  show(opened: OpenedRecords): void {
    const by = this.#numbered({ title: opened.title, read: () => Promise.resolve(opened) });
    this.#app.push(openedView(by, opened, undefined, this.#app.keys));
  }

  refresh(openedBy: OpenedBy | undefined = this.#app.front.openedBy): void {
    if (openedBy) void this.#read(openedBy);
  }

  reader(): (opening: Opening, which: WhichRows) => Promise<Opened> {
    const { database, source } = this.#app;
    // From the source, not from the model, which gets a new choice a moment later.
    const { windowMs = 0, untilMs } = source?.getState() ?? {};
    return async (opening, which) => {
      if (!database) throw new ConsoleError('connection_lost', strings.notConnected);
      // The catalogue is read first: a table may have been changed.
      const shape = await readShape(database);
      // Who reads on in a large trace has asked for it, and sees that it is being read.
      const times = Math.max(1, Math.ceil((which.events ?? 0) / mostTimelineEvents));
      const statementTimeoutMs = usualLimits.statementTimeoutMs * times;
      const read: DetailAccess['read'] = (text, values, settings = {}) =>
        database.read(text, values, { ...usualLimits, statementTimeoutMs, settings });
      return opening.read({ shape, windowMs, untilMs, ...which, read });
    };
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #numbered(opening: Opening): OpenedBy {
    this.#lastId += 1;
    return { id: this.#lastId, opening };
  }

  /** Reads a view. Requests that come while it is being read lead to one more reading after it. */
  async #read(by: OpenedBy): Promise<void> {
    if (this.#reading.has(by.id)) {
      this.#again.add(by.id);
      return;
    }
    this.#reading.add(by.id);
    const startMs = performance.now();
    let hasOnlyWaited = false;
    try {
      do {
        this.#again.delete(by.id);
        hasOnlyWaited = (await this.#readOnce(by)) === 'waited';
      } while (this.#again.has(by.id) && this.#find(by));
    } finally {
      this.#reading.delete(by.id);
      this.#refreshLater(by, hasOnlyWaited ? 0 : performance.now() - startMs);
    }
  }

  /** @returns `waited` when it gave up waiting for a lock or for its turn, which costs the server nothing */
  async #readOnce(by: OpenedBy): Promise<'waited' | undefined> {
    if (!this.#app.database) return undefined;
    let opened: Opened;
    try {
      const view = this.#find(by);
      const which = { list: view?.listRequest, events: view?.eventsWanted };
      opened = await this.reader()(by.opening, which);
    } catch (error) {
      this.#failed(by, error);
      const isOnlyWaiting = error instanceof ConsoleError && waits.has(error.code);
      return isOnlyWaiting ? 'waited' : undefined;
    }
    const before = this.#find(by);
    if (!before) return undefined;
    const view = openedView(by, opened, before, this.#app.keys);
    this.#app.replace(before, view);
    if (view.isIncomplete === true) this.#again.add(by.id);
    // Another view may be in front by now, as the help: the held keys are not meant for it.
    if (this.#isFront(by)) for (const key of before.heldKeys ?? []) pressKey(this.#app, key);
    return undefined;
  }

  /** A first reading that fails shows why; after a later one the old rows stay, and the bottom line says why. */
  #failed(by: OpenedBy, error: unknown): void {
    const view = this.#find(by);
    if (!view) return;
    const failure = failureOf(error);
    const failed = failedView(by, failure, view);
    if (failed) {
      this.#app.replace(view, failed);
      return;
    }
    if (view.notRead) this.#app.replace(view, view.notRead());
    this.#app.say(`It could not be read again: ${failure.message}`, 'warning');
  }

  /**
   * Lists and running traces are read again as often as the panes are, but so seldom that reading takes a fiftieth of
   * the time at most.
   */
  #refreshLater({ id }: OpenedBy, tookMs: number): void {
    const { live } = this.#app.model;
    const cadenceMs = live?.untilMs === undefined ? (live?.cadenceMs ?? 0) : pastIntervalMs;
    const waitMs = Math.max(cadenceMs, leastRefreshMs, tookMs * 50);
    this.#dueAt.set(id, performance.now() + waitMs);
    this.#timer ??= setTimeout(() => this.#tick(), tickMs).unref();
  }

  #tick(): void {
    this.#timer = undefined;
    const { model, front } = this.#app;
    const opened = model.views.flatMap(({ openedBy }) => openedBy?.id ?? []);
    for (const id of this.#dueAt.keys()) if (!opened.includes(id)) this.#dueAt.delete(id);
    if (this.#dueAt.size === 0) return;
    this.#timer = setTimeout(() => this.#tick(), tickMs).unref();
    const { openedBy, isLive } = front;
    const isDue = openedBy && (this.#dueAt.get(openedBy.id) ?? Infinity) <= performance.now();
    const { live } = model;
    if (!isDue || isLive !== true || live?.paused === true) return;
    if (live?.connection.state === 'connected') void this.#read(openedBy);
  }

  #isFront({ id }: OpenedBy): boolean {
    return this.#app.front.openedBy?.id === id;
  }

  #find({ id }: OpenedBy): View | undefined {
    return this.#app.model.views.find(({ openedBy }) => openedBy?.id === id);
  }
}
