import type { Clock } from '../../../src/core/clock.js';
import { Recording } from '../../../src/live/recording/recording.js';
import { type LiveSource, type LiveState, Store } from '../../../src/live/state.js';

/** The last state of a recording in an engine's place, at a clock that stands. */
export class FixedSource implements LiveSource {
  readonly clock: Clock;
  readonly #store: Store<LiveState>;

  constructor(file: string, change: (nowMs: number) => Partial<LiveState> = () => ({})) {
    const recording = Recording.open(file);
    const { state, index } = recording.moment(recording.length - 1);
    const nowMs = recording.atMs(index);
    this.clock = {
      now: () => nowMs,
      wallNow: () => recording.wallMs(index),
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
    };
    this.#store = new Store<LiveState>({ ...state, ...change(nowMs) }, this.clock);
  }

  get getState() {
    return this.#store.getState;
  }

  get subscribe() {
    return this.#store.subscribe;
  }

  start(): void {
    this.#store.update({});
  }

  setUntil(untilMs: number | undefined): void {
    this.#store.update({ untilMs });
  }

  setPaused(paused: boolean): void {
    this.#store.update({ paused });
  }

  stop(): Promise<void> {
    this.#store.close();
    return Promise.resolve();
  }

  schemaChanged(): Promise<void> {
    return Promise.resolve();
  }

  /** How often something else was asked for than is shown: the rows are those of the recording, whatever it was. */
  asked = 0;

  readonly #ask = () => {
    this.asked += 1;
  };

  readonly setCadence = this.#ask;
  readonly setWindow = this.#ask;
  readonly setExact = this.#ask;
  readonly setFilter = this.#ask;
  readonly setVariant = this.#ask;
  readonly setGrouping = this.#ask;
  readonly refreshNow = this.#ask;

  setVisible(): void {
    // All panes are there.
  }
}
