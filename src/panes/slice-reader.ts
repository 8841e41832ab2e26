import { SliceLedger, type Range } from './slice-ledger.js';

export type SliceWindow = {
  sinceMs: number;
  /** Where it ends; absent: it goes on. */
  untilMs?: number | undefined;
  nowMs: number;
  /** Kept slices that are known to have changed. */
  changed?: ReadonlySet<number>;
  /** Everything in one go, whatever it takes. */
  whole: boolean;
};

export type SliceValues<Value> = {
  /** What is not kept, by slice: the far edge of the window and its open part. The rest is in the ledger. */
  fresh: Map<number, Value>;
  /** Which share of the window is there; 1 when it is whole. */
  share: number;
};

/** What fetching a window for the first time may take of one reading. */
const chunkMs = 100;
const firstChunk = 60;
const smallestChunk = 5;
const none: ReadonlySet<number> = new Set();

/**
 * Reads windows through a {@link SliceLedger}. A window of a busy server that was never read before
 * comes in pieces, the newest first: each reading fetches as many slices as take a tenth of a second.
 */
export class SliceReader<Value> {
  readonly ledger: SliceLedger<Value>;
  #chunk = firstChunk;

  constructor(ledger: SliceLedger<Value>) {
    this.ledger = ledger;
  }

  /** @param ask counts the rows of the ranges by slice */
  async read(
    { sinceMs, untilMs, nowMs, whole, changed: toldChanged }: SliceWindow,
    ask: (ranges: readonly Range[]) => Promise<Map<number, Value>>,
  ): Promise<SliceValues<Value>> {
    const began = performance.now();
    for (let changed = toldChanged ?? none; ; changed = none) {
      const newSlices = whole ? Infinity : this.#chunk;
      const plan = this.ledger.plan(sinceMs, nowMs, changed, newSlices, untilMs);
      const before = performance.now();
      const fresh = this.ledger.settle(plan, await ask(plan.ranges), nowMs);
      this.#adapt(plan.keeping.size, performance.now() - before);
      if (plan.missing === 0) return { fresh, share: 1 };
      if (performance.now() - began < chunkMs) continue;
      const all = Math.ceil(((untilMs ?? nowMs) - sinceMs) / this.ledger.sliceMs);
      return { fresh, share: Math.max(0, 1 - plan.missing / all) };
    }
  }

  #adapt(slices: number, ms: number): void {
    if (slices < smallestChunk) return;
    const fitting = Math.round((slices * chunkMs) / Math.max(ms, 1));
    // No more than fourfold: the next slices may be fuller than these.
    this.#chunk = Math.min(Math.max(fitting, smallestChunk), slices * 4);
  }
}
