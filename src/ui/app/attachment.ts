import type { Database } from '../../db/database.js';
import type { Alerting } from '../../live/alerts/alert-watch.js';
import type { Player } from '../../live/recording/player.js';
import type { Recorder } from '../../live/recording/recording.js';
import type { LiveSource, LiveState } from '../../live/state.js';
import { panes } from '../../panes/registry.js';
import { setChoice } from '../commands/panes.js';
import type { Context } from '../context.js';
import type { ConnectionInfo } from '../draw/header.js';
import { detached, visiblePanes, type ConsoleState } from '../model/model.js';
import { overview } from '../views/overview.js';
import { leaveIfAsked } from '../views/quit.js';
import { ActionDesk } from './actions.js';

const tickMs = 1_000;

/** How long connections may take to close. */
const goodbyeMs = 300;

type Moment = Pick<ConsoleState, 'nowMs' | 'replay' | 'recording' | 'alerts' | 'alertsPaused'>;

/** The app, as far as this needs it. */
type Host = Context & { readonly alerts: Alerting };

/**
 * What the console shows, and how its rows reach the screen: a database, which may be recorded, or a recording. One at a
 * time; `detach` leaves it before the next.
 */
export class Attachment {
  readonly #app: Host;
  #database: Database | undefined;
  #actions: ActionDesk | undefined;
  #source: LiveSource | undefined;
  #player: Player | undefined;
  #recorder: Recorder | undefined;
  #closeBridge: (() => void) | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #whenRead: (() => void) | undefined;

  constructor(app: Host) {
    this.#app = app;
  }

  get database(): Database | undefined {
    return this.#database;
  }

  get actions(): ActionDesk | undefined {
    return this.#actions;
  }

  get source(): LiveSource | undefined {
    return this.#source;
  }

  /** The recording that is played instead of a database; undefined where there is one. */
  get player(): Player | undefined {
    return this.#player;
  }

  /** The connection is open: the header knows where this is. */
  attach(database: Database, place: ConnectionInfo): void {
    this.#database = database;
    this.#app.update({ place });
  }

  /**
   * Starts reading the panes; a recorder records what they show.
   *
   * @param onRows called once, when no pane that is shown waits for its first rows any more
   */
  go(database: Database, engine: LiveSource, recorder?: Recorder, onRows?: () => void): void {
    const app = this.#app;
    this.#whenRead = onRows;
    this.#actions = new ActionDesk(app, database, engine, () => {
      app.update({ welcome: undefined, offersDemo: database.capabilities.embedded });
      leaveIfAsked(app);
    });
    for (const pane of panes) setChoice(engine, pane, app.model.panes[pane.id]);
    this.#recorder = recorder;
    this.#follow(engine);
    recorder?.follow(engine);
  }

  /** The panes show a recording. */
  play(player: Player, place: ConnectionInfo): void {
    this.#player = player;
    this.#app.update({ place });
    this.#follow(player);
  }

  /**
   * Leaves the database for another: nothing of it is shown, asked or followed any more, and its
   * connections are closed.
   */
  detach(): void {
    const app = this.#app;
    const database = this.#database;
    this.#unfollow();
    app.alerts.restart();
    this.#actions = this.#database = undefined;
    app.update({ ...detached(app.model), views: [overview], message: undefined });
    database?.abandon().catch((error: unknown) => {
      app.log(`a connection was not closed: ${String(error)}`);
    });
  }

  /** The end: waits for a cancelled action to clean up, but not for a server that is silent. */
  async stop(): Promise<void> {
    this.#unfollow();
    await this.#actions?.stop();
    const silent = new Promise((resolve) => setTimeout(resolve, goodbyeMs).unref());
    await Promise.race([this.#database?.abandon().catch(() => undefined), silent]);
  }

  /** Tells the source which panes to read: those on the screen, and those that alert rules are about. */
  look(): void {
    const { model, alerts } = this.#app;
    // The server gets a filter when it is complete, not while it is typed.
    if (!model.views.some(({ isPrompt }) => isPrompt)) {
      for (const { id, asksFilter } of panes) {
        if (asksFilter) this.#source?.setFilter(id, model.panes[id].filter);
      }
    }
    this.#source?.setVisible([...visiblePanes(model), ...alerts.panes]);
  }

  /** After a key: takes over what it changed in the source at once, not with the next data, so that the next key starts from it. */
  catchUp(): void {
    const live = this.#source?.getState();
    if (live && (this.#player || live !== this.#app.model.live)) {
      this.#app.update({ live, ...this.#moment() });
    }
  }

  #follow(source: LiveSource): void {
    const app = this.#app;
    this.#source = source;
    const awaitsRows = ({ panes: read }: LiveState) =>
      visiblePanes(app.model).some((id) => {
        const { receivedAtMs, error, loading } = read[id];
        return error === null && (receivedAtMs === null || loading !== null);
      });
    this.#closeBridge = bridgeLive(source, awaitsRows, (live, isAwaiting) => {
      app.alerts.see(live, source.clock.wallNow());
      app.update({ live, ...this.#moment() });
      if (isAwaiting) return;
      this.#whenRead?.();
      this.#whenRead = undefined;
    });
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    app.update({ live: source.getState(), ...this.#moment() });
    source.start();
  }

  #unfollow(): void {
    clearInterval(this.#ticker);
    this.#closeBridge?.();
    this.#recorder?.close();
    void this.#source?.stop();
    this.#source = this.#player = this.#recorder = this.#closeBridge = undefined;
    this.#whenRead = undefined;
  }

  /** The part of the model that changes with time, without new rows. */
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

  /** Every second: updates the ages on the screen; does nothing where none is shown. */
  #tick(): void {
    const { model } = this.#app;
    const { live, views } = model;
    if (!live) return;
    const moment = this.#moment();
    const { nowMs } = moment;
    const isQuiet = live.connection.state === 'connected' && !live.paused;
    const shown = visiblePanes(model).map((id) => live.panes[id]);
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
/** For so long after the start answers are drawn sooner: the user waits for the first rows. */
const impatientMs = 3_000;
const gatherFirstMs = 100;

/**
 * Hands the engine's state on: in the beginning at once when something changes whether all rows are there, then at most
 * 2.5 times a second.
 *
 * @param awaitsRows whether a pane that is shown waits for its first rows
 */
function bridgeLive(
  engine: LiveSource,
  awaitsRows: (live: LiveState) => boolean,
  show: (live: LiveState, isAwaiting: boolean) => void,
): () => void {
  const startedAt = performance.now();
  let shownAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let isAwaiting = true;
  const showNow = () => {
    timer = undefined;
    shownAt = performance.now();
    show(engine.getState(), isAwaiting);
  };
  const unsubscribe = engine.subscribe(() => {
    const now = performance.now();
    const wasAwaiting = isAwaiting;
    isAwaiting &&= now - startedAt < impatientMs && awaitsRows(engine.getState());
    if (wasAwaiting && !isAwaiting) {
      clearTimeout(timer);
      showNow();
    } else if (!timer) {
      const wait = isAwaiting ? gatherFirstMs : Math.max(gatherMs, shownAt + betweenMs - now);
      timer = setTimeout(showNow, wait);
    }
  });
  return () => {
    clearTimeout(timer);
    unsubscribe();
  };
}
