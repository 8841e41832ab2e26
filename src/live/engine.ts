import type { Database } from '../db/database.js';
import { asConsoleError, losesConnection } from '../db/errors.js';
import { inStartOrder, looksBack } from '../panes/contract/pane.js';
import { paneById, type PaneId, panes as allPanes } from '../panes/registry.js';
import { readShape, type SchemaShape } from '../panes/contract/shape.js';
import { defaultStuckAfterMs, defaultWindowMs } from '../panes/reading/windows.js';
import { systemClock, type Clock } from '../core/clock.js';
import { CollectingReader, SpoolWatch } from './collecting.js';
import { ConnectionKeeper } from './connection-keeper.js';
import { CostMeter, PaneFeed } from './pane-feed.js';
import { defaultCadenceMs, Schedule, type RunResult } from './schedule.js';
import type { EngineOptions, LiveState, PaneSnapshot, Watch } from './state.js';
import { Store } from './state.js';
import { readHoldsDemo, VitalsReader, type Vitals } from './vitals.js';

/** Three of the pool's five connections at most: details and actions find the others free. */
const concurrency = 3;

/** Of the time of a server, and of the embedded engine, for all panes of events together while events come in. */
const hurriedShare = { server: 0.02, embedded: 0.1 };

/** The past changes little (running traces end, late rows come in), so it is read again only after this long. */
const pastIntervalMs = 30_000;

/** After a pane could not be asked for want of a table, the catalogue is looked at again this often. */
const shapeRereadMs = 10_000;

/** What says that the catalogue was changed since it was read: no such table, column or schema. */
const shapeStates: ReadonlySet<string> = new Set(['42P01', '42703', '3F000']);

/**
 * Asks the visible panes again and again within the guest's budget, and keeps one snapshot a pane.
 * Never throws: what fails is in the state. Knows nothing of the screen.
 */
export class LiveEngine {
  readonly clock: Clock;
  readonly #database: Database;
  readonly #store: Store<LiveState>;
  readonly #schedule: Schedule;
  readonly #keeper: ConnectionKeeper;
  readonly #meter: CostMeter;
  readonly #vitals: VitalsReader;
  readonly #collecting: CollectingReader;
  readonly #spool: SpoolWatch;
  #capabilitiesReadAt = 0;
  readonly #feeds: ReadonlyMap<string, PaneFeed>;
  readonly #watches: readonly { watch: Watch; feed: PaneFeed }[];
  readonly #stuckAfterMs: number;
  readonly #budgetUsdPerDay: number | undefined;
  #visible: ReadonlySet<string>;
  #shape: SchemaShape | undefined;
  #shapeReadAt = -Infinity;
  readonly #isDemo: boolean;
  readonly #asksAfter: Promise<void> | undefined;
  #demoReadAt = -Infinity;

  constructor(database: Database, options: EngineOptions = {}) {
    const { panes = allPanes, clock = systemClock, cadenceMs = defaultCadenceMs } = options;
    this.clock = clock;
    this.#database = database;
    this.#stuckAfterMs = options.stuckAfterMs ?? defaultStuckAfterMs;
    this.#budgetUsdPerDay = options.budgetUsdPerDay;
    this.#isDemo = options.isDemo === true;
    this.#asksAfter = options.asksAfter;
    this.#meter = new CostMeter(database);
    this.#vitals = new VitalsReader(clock);
    this.#collecting = new CollectingReader(database, clock);
    this.#spool = new SpoolWatch(clock, () => this.#showEvents());
    this.#capabilitiesReadAt = clock.now();
    this.#feeds = new Map(
      panes.map((pane) => [pane.id, new PaneFeed(pane, database, clock, this.#meter)]),
    );
    this.#watches = (options.watches ?? []).map((watch) => ({
      watch,
      feed: new PaneFeed(paneById(watch.pane), database, clock, this.#meter),
    }));
    this.#visible = new Set(panes.map(({ id }) => id));
    this.#schedule = new Schedule({ clock, cadenceMs, concurrency, share: options.share });
    const vitals = { id: 'vitals', minIntervalMs: 1_000, startsLast: true };
    this.#schedule.add({ ...vitals, run: () => this.#readVitals() }, true);
    for (const feed of inStartOrder([...this.#feeds.values()], ({ pane }) => pane)) {
      const { id, minIntervalMs } = feed.pane;
      this.#schedule.add({ id, minIntervalMs, run: () => this.#readPane(feed) }, true);
    }
    for (const { watch, feed } of this.#watches) {
      const task = { id: watch.key, minIntervalMs: feed.pane.minIntervalMs };
      this.#schedule.add({ ...task, run: () => this.#readWatch(watch, feed) }, true);
    }
    this.#store = new Store<LiveState>(
      {
        panes: this.#snapshots(),
        watched: new Map(),
        vitals: null,
        connection: { state: 'connecting' },
        capabilities: database.capabilities,
        paused: false,
        cadenceMs,
        windowMs: options.windowMs ?? defaultWindowMs,
        ...(this.#isDemo ? { holdsDemo: true } : {}),
      },
      clock,
    );
    this.#keeper = new ConnectionKeeper(
      database,
      clock,
      (connection) => this.#store.update({ connection }),
      () => this.#restored(),
    );
  }

  /** The same object until something changes; for useSyncExternalStore. */
  get getState(): () => LiveState {
    return this.#store.getState;
  }

  /** Calls `listener` after changes, several at once; the result ends it. */
  get subscribe(): (listener: () => void) => () => void {
    return this.#store.subscribe;
  }

  /** Reads the catalogue and begins. Resolves at once; without a connection it goes on trying. */
  start(): void {
    void this.#begin();
  }

  /** Ends; resolves when no statement of the panes runs any more. The database stays open. */
  async stop(): Promise<void> {
    this.#store.close();
    this.#spool.stop();
    this.#keeper.stop();
    await this.#schedule.stop();
  }

  /** Only these are asked from now on; one that comes into view is asked at once when it is due. */
  setVisible(ids: Iterable<PaneId>): void {
    const visible = new Set<string>(ids);
    if (visible.size === this.#visible.size && [...visible].every((id) => this.#visible.has(id))) {
      return;
    }
    this.#visible = visible;
    this.#schedule.setVisible((id) => visible.has(id) || !this.#feeds.has(id));
  }

  setPaused(paused: boolean): void {
    this.#store.update({ paused });
    this.#schedule.setPaused(paused);
  }

  setCadence(cadenceMs: number): void {
    this.#schedule.setCadence(cadenceMs);
    this.#store.update({ cadenceMs, panes: this.#snapshots() });
  }

  setWindow(windowMs: number): void {
    const { untilMs } = this.#store.getState();
    this.#store.update({ windowMs });
    for (const { pane, filter } of this.#feeds.values()) {
      if (pane.windowed || filter !== undefined || (untilMs !== undefined && looksBack(pane)))
        this.#schedule.setDue(pane.id);
    }
  }

  /** The windows end at this moment in the past, milliseconds since 1970; undefined: now. */
  setUntil(untilMs: number | undefined): void {
    for (const feed of this.#feeds.values()) {
      const { pane } = feed;
      feed.setUntil(untilMs);
      if (!looksBack(pane)) continue;
      const leastMs = untilMs === undefined ? pane.minIntervalMs : pastIntervalMs;
      this.#schedule.setDue(pane.id, leastMs);
    }
    this.#store.update({ untilMs, panes: this.#snapshots() });
  }

  /** Exact figures on request: every reading of this pane counts all rows of the window. */
  setExact(id: PaneId, exact: boolean): void {
    const feed = this.#feeds.get(id);
    if (!feed || feed.exact === exact) return;
    feed.exact = exact;
    this.#schedule.runNow(id);
  }

  /** Another variant of a pane; what it does not have is ignored. */
  setVariant(id: PaneId, variant: string): void {
    this.#choose(id, (feed) => feed.setVariant(variant));
  }

  setGrouping(id: PaneId, grouping: string): void {
    this.#choose(id, (feed) => feed.setGrouping(grouping));
  }

  /** Rows of a pane that asks the server for what its filter chooses; others filter what they have. */
  setFilter(id: PaneId, filter: string): void {
    this.#choose(id, (feed) => feed.setFilter(filter));
  }

  #choose(id: PaneId, choose: (feed: PaneFeed) => boolean): void {
    const feed = this.#feeds.get(id);
    if (!feed || !choose(feed)) return;
    this.#store.update({ panes: this.#snapshots() });
    this.#schedule.runNow(id);
  }

  /** Asks all visible panes now, also while paused, and counts anew what was kept of closed stretches of time. Hurries a reconnect. */
  refreshNow(): void {
    this.#keeper.hurry();
    for (const feed of this.#allFeeds()) feed.countAnew();
    this.#schedule.runNow();
  }

  /**
   * After the schema was applied, an index was built, or rows of the past came or went: reads the catalogue
   * anew, and counts again in every pane what is kept of closed minutes.
   */
  async schemaChanged(): Promise<void> {
    try {
      await this.#database.refreshCapabilities();
      await this.#readShape();
      this.#store.update({ capabilities: { ...this.#database.capabilities } });
      this.#demoReadAt = -Infinity;
      for (const feed of this.#allFeeds()) feed.forget();
      this.#schedule.runNow();
    } catch (error) {
      this.#failed(error);
    }
  }

  /**
   * Events come in: panes of single events are asked at once, those that cost much as often as their share allows. The embedded
   * database is the user's own, and its one engine seems slow to whoever waits for a batch of the collector.
   */
  #showEvents(): void {
    const { paused, untilMs, cadenceMs } = this.#store.getState();
    if (paused || untilMs !== undefined) return;
    const share = hurriedShare[this.#database.capabilities.embedded ? 'embedded' : 'server'];
    const visible = [...this.#feeds.values()].filter(({ pane }) => this.#visible.has(pane.id));
    const shown = visible.filter(({ pane }) => pane.showsEvents === true);
    for (const { pane } of shown) {
      const isCheap = (this.#schedule.intervalOf(pane.id) ?? Infinity) <= cadenceMs;
      if (isCheap) this.#schedule.runNow(pane.id);
      else this.#schedule.hurry(pane.id, share / shown.length);
    }
  }

  async #begin(): Promise<void> {
    const startMs = this.clock.now();
    try {
      await this.#readShape();
      this.#store.update({ connection: { state: 'connected' } });
      await this.#asksAfter;
      this.#schedule.start();
    } catch (error) {
      await this.#keeper.recover(asConsoleError(error), startMs);
    }
  }

  async #readPane(feed: PaneFeed): Promise<RunResult> {
    const isFirst = feed.snapshot.receivedAtMs === null;
    const result = await this.#read(feed, this.#store.getState().windowMs);
    this.#store.update({ panes: this.#snapshots() }, isFirst);
    return result;
  }

  async #readWatch({ key, windowMs }: Watch, feed: PaneFeed): Promise<RunResult> {
    const result = await this.#read(feed, windowMs);
    const watched = new Map(this.#store.getState().watched).set(key, feed.snapshot);
    this.#store.update({ watched });
    return result;
  }

  async #read(feed: PaneFeed, windowMs: number): Promise<RunResult> {
    const startMs = this.clock.now();
    const shape = await this.#currentShape(feed.snapshot);
    if (!shape) return { costMs: 0 };
    const { snapshot, costMs } = await feed.read({
      windowMs,
      stuckAfterMs: this.#stuckAfterMs,
      budgetUsdPerDay: this.#budgetUsdPerDay,
      shape,
      // One that failed may have asked for too much at once.
      brief: feed.snapshot.receivedAtMs === null && feed.snapshot.error === null,
    });
    if (snapshot.error) this.#failed(snapshot.error, startMs);
    // The window has changed during this reading: runNow has asked for another one.
    return { costMs, again: snapshot.error === null && snapshot.loading !== null };
  }

  async #readVitals(): Promise<RunResult> {
    const startMs = this.clock.now();
    let costMs = 0;
    try {
      const { vitals, collecting } = await this.#meter.transaction(
        { statementTimeoutMs: 2_000, lockTimeoutMs: 1_000, purpose: 'vitals' },
        (spent) => (costMs += spent),
        async (tx) => ({
          vitals: await this.#vitals.read(tx),
          collecting: await this.#collecting.read(tx),
        }),
      );
      this.#store.update({ vitals, collecting });
      this.#spool.isFollowed = collecting?.state === 'following';
      await this.#lookForDemo((spent) => (costMs += spent));
      await this.#followServer(vitals);
    } catch (error) {
      this.#failed(error, startMs);
    }
    return { costMs };
  }

  /** Checked again and again, since a demo may begin or be removed meanwhile. A table that cannot be read leaves it unchanged. */
  async #lookForDemo(onCost: (ms: number) => void): Promise<void> {
    const shape = this.#shape;
    if (!shape || this.#isDemo || this.clock.now() - this.#demoReadAt < demoRereadMs) return;
    this.#demoReadAt = this.clock.now();
    try {
      const holdsDemo = await this.#meter.transaction(
        { statementTimeoutMs: 500, lockTimeoutMs: 100, purpose: 'vitals' },
        onCost,
        (tx) => readHoldsDemo(tx, shape),
      );
      this.#store.update({ holdsDemo });
    } catch (error) {
      if (losesConnection(error)) throw error;
    }
  }

  /**
   * What a server may do can change under an open connection: a standby is promoted, a privilege granted, an
   * extension or a column created. A change of its role shows with the vitals, the rest within half a minute.
   */
  async #followServer({ standby, readOnlyByDefault }: Vitals): Promise<void> {
    const known = this.#database.capabilities;
    const isOther = known.standby !== standby || known.readOnlyByDefault !== readOnlyByDefault;
    if (!isOther && this.clock.now() - this.#capabilitiesReadAt < capabilitiesRereadMs) return;
    this.#capabilitiesReadAt = this.clock.now();
    const before = JSON.stringify(known);
    const fresh = await this.#database.refreshCapabilities();
    // Columns and views are no capabilities: an older deployment may have been brought up to date.
    await this.#readShape();
    if (JSON.stringify(fresh) !== before) this.#store.update({ capabilities: { ...fresh } });
  }

  /** Reads the catalogue again where a pane lacked something, from time to time. */
  async #currentShape(snapshot: PaneSnapshot): Promise<SchemaShape | undefined> {
    const { error } = snapshot;
    const lacking =
      error?.code === 'schema_missing' ||
      error?.code === 'schema_incompatible' ||
      error?.code === 'privilege_missing' ||
      shapeStates.has(error?.sqlState ?? '');
    if (lacking && this.clock.now() - this.#shapeReadAt >= shapeRereadMs) {
      try {
        await this.#readShape();
      } catch (failure) {
        this.#failed(failure);
      }
    }
    return this.#shape;
  }

  async #readShape(): Promise<void> {
    this.#shape = await readShape(this.#database);
    this.#shapeReadAt = this.clock.now();
  }

  /** @param startMs the clock when that was asked which failed */
  #failed(failure: unknown, startMs = this.clock.now()): void {
    const error = asConsoleError(failure);
    if (!losesConnection(error) || this.#keeper.lost) return;
    this.#schedule.suspend();
    void this.#keeper.recover(error, startMs);
  }

  async #restored(): Promise<void> {
    await this.#readShape();
    this.#meter.reset();
    this.#vitals.reset();
    for (const feed of this.#allFeeds()) feed.reset();
    this.#store.update({ capabilities: { ...this.#database.capabilities } });
    this.#schedule.start();
  }

  #allFeeds(): PaneFeed[] {
    return [...this.#feeds.values(), ...this.#watches.map(({ feed }) => feed)];
  }

  #snapshots(): LiveState['panes'] {
    const entries = [...this.#feeds.values()].map((feed) => [
      feed.pane.id,
      feed.withInterval(this.#schedule.intervalOf(feed.pane.id) ?? feed.pane.minIntervalMs),
    ]);
    return Object.fromEntries(entries) as LiveState['panes'];
  }
}

/** Privileges, extensions, settings and columns are read again so often (ms); 4 ms of the server each time. */
const capabilitiesRereadMs = 30_000;
const demoRereadMs = 15_000;
