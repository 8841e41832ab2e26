import { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import {
  previewAction,
  refusalOf,
  runAction,
  type ActionName,
  type InputOf,
} from '../../maintenance/registry.js';
import { ProgressRate } from '../../maintenance/progress-rate.js';
import type { Outcome, Preview, Progress } from '../../maintenance/action.js';
import type { ActionView } from '../model/views.js';

export type ActionEvents = {
  /** The dialog is as given; undefined: it closes. */
  show(view: ActionView | undefined): void;
  now(): number;
  /** An action has ended; what is shown may be out of date. */
  ended(): void;
};

/** Progress comes as fast as an action makes it; a bar need not move more often. */
const progressMs = 200;

/** Takes one action from its preview to its result. Nothing is changed before `confirm`. */
export class ActionRunner {
  readonly #database: Database;
  readonly #events: ActionEvents;
  #abort = new AbortController();
  #detach = new AbortController();
  #view: ActionView | undefined;
  #start: (() => Promise<void>) | undefined;
  #running: Promise<void> | undefined;

  constructor(database: Database, events: ActionEvents) {
    this.#database = database;
    this.#events = events;
  }

  /** Whether something is being changed now. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get view(): ActionView | undefined {
    return this.#view;
  }

  /** Shows what an action would do; the result says why it may not run here, if so. */
  open<Name extends ActionName>(
    name: Name,
    title: string,
    input: InputOf<Name>,
  ): ConsoleError | undefined {
    const refused = refusalOf(name, this.#database, input);
    if (refused) return refused;
    this.#abort = new AbortController();
    this.#detach = new AbortController();
    const context = {
      database: this.#database,
      signal: this.#abort.signal,
      detach: this.#detach.signal,
    };
    this.#set({
      kind: 'action',
      name,
      title,
      phase: 'preview',
      preview: undefined,
      typed: '',
      progress: undefined,
      startedAtMs: 0,
      result: undefined,
    });
    this.#start = () => this.#run(runAction(name, context, input));
    void this.#preview(() => previewAction(name, context, input), context.signal);
    return undefined;
  }

  confirm(): void {
    if (this.#view?.phase !== 'confirm' || !this.#start) return;
    this.#set({ ...this.#view, phase: 'running', startedAtMs: this.#events.now() });
    this.#running = this.#start().finally(() => {
      this.#running = undefined;
      this.#events.ended();
    });
  }

  /** Stops a running action at its next safe point; closes a dialog that has not begun. */
  cancel(): void {
    this.#abort.abort();
    if (this.#view?.phase === 'running') this.#set({ ...this.#view, phase: 'cancelling' });
    else if (!this.isRunning) this.close();
  }

  /** Whether the server would go on with it alone. */
  get isDetachable(): boolean {
    return this.#view?.phase === 'running' && (this.#view.progress?.detachable ?? false);
  }

  /** Leaves the server alone with what it is at, before the console ends. */
  leave(): void {
    if (this.isDetachable) this.#detach.abort();
  }

  close(): void {
    if (this.isRunning) return;
    this.#abort.abort();
    this.#set(undefined);
  }

  /** Adds to the word that confirms, or takes its last letter away. */
  type(key: string): void {
    if (this.#view?.phase !== 'confirm') return;
    const { typed } = this.#view;
    this.#set({ ...this.#view, typed: key === 'backspace' ? typed.slice(0, -1) : typed + key });
  }

  /** Cancels what was not left to the server, and waits until nothing is changed any more. */
  async stop(): Promise<void> {
    if (!this.#detach.signal.aborted) this.#abort.abort();
    await this.#running;
  }

  async #preview(read: () => Promise<Preview>, signal: AbortSignal): Promise<void> {
    try {
      const preview = await read();
      if (signal.aborted || this.#view?.phase !== 'preview') return;
      this.#set({ ...this.#view, phase: 'confirm', preview, title: preview.title });
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    }
  }

  async #run(events: AsyncGenerator<Progress, Outcome<unknown>>): Promise<void> {
    const rate = new ProgressRate();
    let shownAt = -Infinity;
    try {
      for (;;) {
        const { value, done } = await events.next();
        if (!this.#view) return;
        if (done) {
          const { summary, cancelled } = value;
          const tone = cancelled ? 'warning' : 'success';
          this.#set({
            ...this.#view,
            phase: 'done',
            result: { text: summary, hint: undefined, tone },
          });
          return;
        }
        const now = this.#events.now();
        const progress = rate.complete(value, now);
        if (now - shownAt < progressMs && progress.phase === this.#view.progress?.phase) continue;
        shownAt = now;
        this.#set({ ...this.#view, progress });
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (!this.#view) return;
    const known = error instanceof ConsoleError ? error : undefined;
    const text = error instanceof Error ? error.message : String(error);
    this.#set({ ...this.#view, phase: 'done', result: { text, hint: known?.hint, tone: 'error' } });
  }

  #set(view: ActionView | undefined): void {
    this.#view = view;
    this.#events.show(view);
  }
}
