import { systemClock, type Clock } from '../../core/clock.js';
import { type LiveSource, type LiveState, Store } from '../state.js';
import { Recording, type Moment } from './recording.js';

/** What `+` and `-` step through. */
const speeds: readonly number[] = [0.5, 1, 2, 5, 10, 30, 60, 300];

/** Where a replay is. */
export type ReplayState = {
  /** The calendar of the recording, milliseconds since 1970. */
  wallMs: number;
  /** 0..1 of its time. */
  share: number;
  speed: number;
  ended: boolean;
};

/** A pause without changes is shortened to this (ms for the viewer). */
const longestWaitMs = 5_000;

function ignored(): void {
  // A recording cannot be asked for anything else.
}

/**
 * Plays a recording in the engine's place: its clock is that of the recording, so that ages are those
 * of then. Nothing is asked of any database.
 */
export class Player implements LiveSource {
  readonly clock: Clock;
  readonly speeds = speeds;
  readonly #recording: Recording;
  readonly #real: Clock;
  readonly #store: Store<LiveState>;
  #moment: Moment;
  #speed = 1;
  #paused = false;
  /** The recording's clock at `#since` of the viewer's. */
  #position: number;
  #since: number;
  #cancelTimer: (() => void) | undefined;

  constructor(recording: Recording, real: Clock = systemClock) {
    this.#recording = recording;
    this.#real = real;
    this.#moment = recording.moment(0);
    this.#position = recording.atMs(0);
    this.#since = real.now();
    this.clock = {
      now: () => this.#now(),
      wallNow: () => recording.wallMs(this.#moment.index) + this.#now() - this.#at,
      after: (ms, callback) => real.after(ms, callback),
    };
    this.#store = new Store<LiveState>(this.#moment.state, real);
  }

  get getState(): () => LiveState {
    return this.#store.getState;
  }

  get subscribe(): (listener: () => void) => () => void {
    return this.#store.subscribe;
  }

  get replay(): ReplayState {
    const { length } = this.#recording;
    const first = this.#recording.atMs(0);
    const whole = this.#recording.atMs(length - 1) - first;
    return {
      wallMs: this.clock.wallNow(),
      share: whole > 0 ? Math.min(1, (this.#now() - first) / whole) : 1,
      speed: this.#speed,
      ended: this.#moment.index === length - 1,
    };
  }

  start(): void {
    this.#since = this.#real.now();
    this.#showMoment();
    this.#wait();
  }

  stop(): Promise<void> {
    this.#cancelTimer?.();
    this.#store.close();
    return Promise.resolve();
  }

  setPaused(paused: boolean): void {
    this.#position = this.#now();
    this.#since = this.#real.now();
    this.#paused = paused;
    this.#showMoment();
    this.#wait();
  }

  setSpeed(speed: number): void {
    this.#position = this.#now();
    this.#since = this.#real.now();
    this.#speed = speed;
    this.#wait();
  }

  /** Goes on by so many milliseconds of the recording, or back. */
  seek(byMs: number): void {
    const { length } = this.#recording;
    const target = this.#now() + byMs;
    const [first, last] = [this.#recording.atMs(0), this.#recording.atMs(length - 1)];
    this.#position = Math.min(Math.max(target, first), last);
    this.#since = this.#real.now();
    this.#goTo(this.#recording.indexAt(this.#position));
    this.#wait();
  }

  // Window, cadence and choices were made when it was recorded: they cannot be changed.
  readonly setVisible = ignored;
  readonly setCadence = ignored;
  readonly setWindow = ignored;
  readonly setUntil = ignored;
  readonly setExact = ignored;
  readonly setVariant = ignored;
  readonly setGrouping = ignored;
  readonly setFilter = ignored;
  readonly refreshNow = ignored;
  schemaChanged(): Promise<void> {
    return Promise.resolve();
  }

  get #at(): number {
    return this.#recording.atMs(this.#moment.index);
  }

  #now(): number {
    if (this.#paused) return this.#position;
    const elapsed = (this.#real.now() - this.#since) * this.#speed;
    const next = this.#moment.index + 1;
    const end = next < this.#recording.length ? this.#recording.atMs(next) : this.#at;
    return Math.max(this.#position, Math.min(this.#position + elapsed, Math.max(end, this.#at)));
  }

  #wait(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const next = this.#moment.index + 1;
    if (this.#paused || next >= this.#recording.length) return;
    const gap = (this.#recording.atMs(next) - this.#now()) / this.#speed;
    this.#cancelTimer = this.#real.after(Math.min(Math.max(0, gap), longestWaitMs), () => {
      // Fast replays skip the frames that nobody could see.
      const reached = this.#position + (this.#real.now() - this.#since) * this.#speed;
      this.#position = Math.max(reached, this.#recording.atMs(next));
      this.#since = this.#real.now();
      this.#goTo(Math.max(next, this.#recording.indexAt(this.#position)));
      this.#wait();
    });
  }

  #goTo(index: number): void {
    this.#moment = this.#recording.moment(index, this.#moment);
    this.#showMoment();
  }

  #showMoment(): void {
    this.#store.update({ ...this.#moment.state, paused: this.#paused });
  }
}
