import type { Player } from '../../live/recording/player.js';
import type { Recorder } from '../../live/recording/recorder.js';
import type { LiveSource } from '../../live/source.js';
import type { Model } from '../model/model.js';
import type { ConsoleApp } from './console-app.js';
import { bridgeLive } from './live-bridge.js';

const tickMs = 1_000;

type Moment = Pick<Model, 'nowMs' | 'replay' | 'recording' | 'alerts' | 'alertsPaused'>;

/** Where the panes' rows come from, and how they reach the screen: an engine, perhaps recorded, or a recording. */
export class FollowedSource {
  readonly #app: ConsoleApp;
  #source: LiveSource | undefined;
  #player: Player | undefined;
  #recorder: Recorder | undefined;
  #closeBridge: (() => void) | undefined;
  #ticker: NodeJS.Timeout | undefined;

  constructor(app: ConsoleApp) {
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
      app.alerting.see(live, source.clock.wallNow());
      app.update({ live, ...this.#moment() });
    });
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    app.update({ stage: { kind: 'live' }, live: source.getState(), ...this.#moment() });
    source.start();
  }

  /** What moves although no new rows have come. */
  #moment(): Moment {
    const { alerting } = this.#app;
    const live = this.#source?.getState();
    return {
      alerts: alerting.state.active,
      alertsPaused: live !== undefined && alerting.isPaused(live),
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
    const runs = views.some((view) => view.kind === 'action' && view.phase !== 'confirm');
    const hasFailed = moment.recording?.failure !== model.recording?.failure;
    if (!isQuiet || isLate || runs || this.#player || hasFailed) this.#app.update(moment);
  }
}
