import type { Player } from '../../live/recording/player.js';
import type { Recorder } from '../../live/recording/recorder.js';
import type { LiveSource, LiveState } from '../../live/state.js';
import type { PaneId } from '../../panes/registry.js';
import type { ConsoleState } from '../model/model.js';
import type { Context } from '../context.js';
import type { Alerting } from './alerting.js';

const tickMs = 1_000;

type Moment = Pick<ConsoleState, 'nowMs' | 'replay' | 'recording' | 'alerts' | 'alertsPaused'>;

/** What follows a source: the app, as far as that needs it. */
type Follower = Context & { readonly alerts: Alerting; readonly visiblePanes: readonly PaneId[] };

/** Where the panes' rows come from, and how they reach the screen: an engine, perhaps recorded, or a recording. */
export class FollowedSource {
  readonly #app: Follower;
  #source: LiveSource | undefined;
  #player: Player | undefined;
  #recorder: Recorder | undefined;
  #closeBridge: (() => void) | undefined;
  #ticker: NodeJS.Timeout | undefined;

  constructor(app: Follower) {
    this.#app = app;
  }

  get source(): LiveSource | undefined {
    return this.#source;
  }

  /** The recording that is played instead of a database; undefined where there is one. */
  get player(): Player | undefined {
    return this.#player;
  }

  /** Shows what a database says; a recorder keeps it. */
  followEngine(engine: LiveSource, recorder: Recorder | undefined): void {
    this.#recorder = recorder;
    this.#follow(engine);
    recorder?.follow(engine);
  }

  followPlayer(player: Player): void {
    this.#player = player;
    this.#follow(player);
  }

  /** What a key has set is seen, and counted from, before the next round of data. */
  catchUp(): void {
    const live = this.#source?.getState();
    if (live && (this.#player || live !== this.#app.model.live)) {
      this.#app.update({ live, ...this.#moment() });
    }
  }

  /** Nothing is followed any more; another source may be. */
  stop(): void {
    clearInterval(this.#ticker);
    this.#closeBridge?.();
    this.#recorder?.close();
    void this.#source?.stop();
    this.#source = this.#player = this.#recorder = this.#closeBridge = undefined;
  }

  #follow(source: LiveSource): void {
    const app = this.#app;
    this.#source = source;
    this.#closeBridge = bridgeLive(source, (live) => {
      app.alerts.see(live, source.clock.wallNow());
      app.update({ live, ...this.#moment() });
    });
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    app.update({ live: source.getState(), ...this.#moment() });
    source.start();
  }

  /** What moves although no new rows have come. */
  #moment(): Moment {
    const { alerts } = this.#app;
    const live = this.#source?.getState();
    return {
      alerts: alerts.state.active,
      alertsPaused: live !== undefined && alerts.isPaused(live),
      nowMs: this.#source?.clock.now() ?? 0,
      replay: this.#player?.replay,
      recording: this.#recorder && { failure: this.#recorder.failure },
    };
  }

  /** Ages on the screen advance; a screen without ages stays as it is. */
  #tick(): void {
    const { model, visiblePanes } = this.#app;
    const { live, views } = model;
    if (!live) return;
    const moment = this.#moment();
    const { nowMs } = moment;
    const isQuiet = live.connection.state === 'connected' && !live.paused;
    const shown = visiblePanes.map((id) => live.panes[id]);
    const isLate = shown.some(
      ({ error, receivedAtMs, intervalMs }) =>
        error !== null || (receivedAtMs !== null && nowMs - receivedAtMs > intervalMs + 4_000),
    );
    const runs = views.some(({ showsTime }) => showsTime);
    const hasFailed = moment.recording?.failure !== model.recording?.failure;
    if (!isQuiet || isLate || runs || this.#player || hasFailed) this.#app.update(moment);
  }
}

/** Answers to one round of questions come close together: they are drawn together. */
const gatherMs = 80;
/** Data is drawn at most this often; keys are drawn at once. */
const betweenMs = 400;
/** In the beginning every pane is waited for. */
const impatientMs = 3_000;

/** Hands the engine's state on, at most 2.5 times a second. */
function bridgeLive(engine: LiveSource, show: (live: LiveState) => void): () => void {
  const startedAt = performance.now();
  let shownAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const showNow = () => {
    timer = undefined;
    shownAt = performance.now();
    show(engine.getState());
  };
  const unsubscribe = engine.subscribe(() => {
    if (timer) return;
    const now = performance.now();
    const wait = now - startedAt < impatientMs ? 15 : Math.max(gatherMs, shownAt + betweenMs - now);
    timer = setTimeout(showNow, wait);
  });
  return () => {
    clearTimeout(timer);
    unsubscribe();
  };
}
