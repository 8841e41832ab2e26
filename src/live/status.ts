import type { Database } from '../db/database.js';
import type { AnyPane } from '../panes/registry.js';
import { readShape } from '../panes/contract/shape.js';
import { systemClock } from './clock.js';
import { CostMeter, PaneFeed } from './pane-feed.js';
import type { PaneSnapshot } from './state.js';

export type StatusOptions = {
  windowMs: number;
  stuckAfterMs: number;
  budgetUsdPerDay?: number | undefined;
  /** Of the panes that have it. */
  grouping?: string | undefined;
  /** Where the windows end, milliseconds since 1970; absent: now. */
  untilMs?: number | undefined;
};

/** Reads panes one after the other, once or again and again, without a schedule: for reports. */
export class StatusReader {
  readonly #database: Database;
  readonly #feeds: readonly PaneFeed[];
  readonly #options: StatusOptions;

  /** @param exact counts every row each time; else what was kept from the reading before is used */
  constructor(
    database: Database,
    panes: readonly AnyPane[],
    options: StatusOptions & { exact: boolean },
  ) {
    const meter = new CostMeter(database, systemClock);
    this.#database = database;
    this.#options = options;
    this.#feeds = panes.map((pane) => {
      const feed = new PaneFeed(pane, database, systemClock, meter);
      feed.exact = options.exact;
      feed.setUntil(options.untilMs);
      if (options.grouping !== undefined) feed.setGrouping(options.grouping);
      return feed;
    });
  }

  /**
   * Every pane, each whole; one that fails has its error in its snapshot.
   *
   * @throws ConsoleError when not even the catalogue can be read.
   */
  async read(): Promise<readonly { pane: AnyPane; snapshot: PaneSnapshot }[]> {
    const shape = await readShape(this.#database);
    const results: { pane: AnyPane; snapshot: PaneSnapshot }[] = [];
    for (const feed of this.#feeds) {
      let snapshot: PaneSnapshot;
      do {
        ({ snapshot } = await feed.read({ ...this.#options, shape }));
      } while (snapshot.error === null && snapshot.loading !== null);
      results.push({ pane: feed.pane, snapshot });
    }
    return results;
  }
}
