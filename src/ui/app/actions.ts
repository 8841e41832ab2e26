import { counted } from '../../core/format/number.js';
import { formatAge, formatSpan } from '../../core/format/time.js';
import { failureOf, type Failure } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import type { LiveSource } from '../../live/state.js';
import {
  previewAction,
  refusalOf,
  runAction,
  type OfferedAction,
} from '../../maintenance/registry.js';
import { ProgressRate } from '../../maintenance/long-statement.js';
import type { ChosenLater, Outcome, Preview, Progress } from '../../maintenance/action.js';
import { namedCommands } from '../../panes/contract/pane.js';
import { windowsMs } from '../../panes/reading/windows.js';
import { findPaneOfRows } from '../../panes/registry.js';
import type { Actions, Context } from '../context.js';
import type { ActionState } from '../draw/action.js';
import { showAction } from '../views/action.js';

/** The bar is drawn at most this often, however fast progress comes. */
const progressMs = 200;

/** Takes one action from its preview to its result. Nothing is changed before `confirm`. */
export class ActionDesk implements Actions {
  readonly #context: Context;
  readonly #database: Database;
  readonly #source: LiveSource;
  readonly #ended: () => void;
  #abort = new AbortController();
  #detach = new AbortController();
  #state: ActionState | undefined;
  #start: (() => Promise<void>) | undefined;
  #running: Promise<void> | undefined;

  /** @param ended called when an action has ended; what is shown may be out of date */
  constructor(context: Context, database: Database, source: LiveSource, ended: () => void) {
    this.#context = context;
    this.#database = database;
    this.#source = source;
    this.#ended = ended;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get state(): ActionState | undefined {
    return this.#state;
  }

  open({ name, title, input }: OfferedAction): Failure | undefined {
    const refused = refusalOf(name, this.#database, input);
    if (refused) return refused;
    this.#abort = new AbortController();
    this.#detach = new AbortController();
    const context = {
      database: this.#database,
      signal: this.#abort.signal,
      detach: this.#detach.signal,
      follow: this.#context.connections?.current.follow,
    };
    this.#set(asking(title));
    this.#start = () => this.#run(runAction(name, context, input));
    void this.#preview(() => previewAction(name, context, input), context.signal);
    return undefined;
  }

  openLater({ title, chosen }: ChosenLater<OfferedAction>): void {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#set(asking(title));
    chosen.then(
      (action) => {
        if (signal.aborted) return;
        const refused = this.open(action);
        if (refused) this.#refused(failureOf(refused));
      },
      (error: unknown) => {
        if (!signal.aborted) this.#failed(error);
      },
    );
  }

  confirm(): void {
    if (this.#state?.phase !== 'confirm' || !this.#start) return;
    this.#set({ ...this.#state, phase: 'running', startedAtMs: this.#now() });
    this.#running = this.#start().finally(() => {
      this.#running = undefined;
      void this.#source.schemaChanged();
      this.#ended();
    });
  }

  cancel(): void {
    this.#abort.abort();
    if (this.#state?.phase === 'running') this.#set({ ...this.#state, phase: 'cancelling' });
    else if (!this.isRunning) this.close();
  }

  get isDetachable(): boolean {
    return this.#state?.phase === 'running' && (this.#state.progress?.detachable ?? false);
  }

  leave(): void {
    if (this.isDetachable) this.#detach.abort();
  }

  close(): void {
    if (this.isRunning) return;
    this.#abort.abort();
    this.#set(undefined);
  }

  type(key: string): void {
    if (this.#state?.phase !== 'confirm') return;
    const { typed } = this.#state;
    this.#set({ ...this.#state, typed: key === 'backspace' ? typed.slice(0, -1) : typed + key });
  }

  /** Cancels what was not left to the server, and waits until nothing is being changed. */
  async stop(): Promise<void> {
    if (!this.#detach.signal.aborted) this.#abort.abort();
    await this.#running;
  }

  async #preview(read: () => Promise<Preview>, signal: AbortSignal): Promise<void> {
    try {
      const preview = await read();
      if (signal.aborted || this.#state?.phase !== 'preview') return;
      this.#set({ ...this.#state, phase: 'confirm', preview, title: preview.title });
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
        if (!this.#state) return;
        if (done) {
          const { summary, cancelled, shows } = value;
          const tone = cancelled ? 'warning' : 'success';
          this.#set({
            ...this.#state,
            phase: 'done',
            result: { message: summary, hint: undefined, tone },
          });
          if (shows) this.#show(shows, summary);
          return;
        }
        const now = this.#now();
        const progress = rate.complete(value, now);
        if (now - shownAt < progressMs && progress.phase === this.#state.progress?.phase) continue;
        shownAt = now;
        this.#set({ ...this.#state, progress });
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Shows, behind the dialog, the pane of these rows with a window that reaches back to `since`; the dialog says so. */
  #show({ rows, since, seen = [] }: NonNullable<Outcome<unknown>['shows']>, summary: string): void {
    const pane = findPaneOfRows(rows);
    if (pane === undefined) return;
    const { id } = pane;
    const { focus, model } = this.#context;
    const neededMs = this.#source.clock.wallNow() - since;
    const here = model.live?.windowMs ?? 0;
    const wide = [...windowsMs, ...longWindowsMs].find((span) => span >= neededMs) ?? here;
    if (wide > here) this.#source.setWindow(wide);
    const said: string[] = [];
    if (neededMs > here) {
      const then =
        wide > here ? `the window is ${formatSpan(wide)} now` : `only ${pane.title} shows them`;
      said.push(`The newest is ${formatAge(neededMs)} old: ${then}.`);
    }
    const windowMs = Math.max(wide, here);
    const shown = seen.filter((at) => at > this.#source.clock.wallNow() - windowMs).length;
    if (shown > 0 && shown < seen.length) {
      const text = `Of ${counted(seen.length, rows)} ${shown} gave a sign of life in the window of ${formatSpan(windowMs)}: :${namedCommands.group} shows all.`;
      said.push(this.#context.keys.inText(text));
    }
    if (this.#state?.result && said.length > 0) {
      const message = [summary, ...said].join(' ');
      this.#set({ ...this.#state, result: { ...this.#state.result, message } });
    }
    focus.goTo(id);
  }

  #failed(error: unknown): void {
    this.#refused(failureOf(error));
  }

  #refused(failure: Failure): void {
    if (!this.#state) return;
    this.#set({ ...this.#state, phase: 'done', result: { ...failure, tone: 'error' } });
  }

  #now(): number {
    return this.#source.clock.now();
  }

  #set(state: ActionState | undefined): void {
    this.#state = state;
    showAction(this.#context, state);
  }
}

/** Beyond those that `w` leads to, for what is older. */
const longWindowsMs = [90, 180, 366].map((days) => days * 86_400_000);

/** A dialog whose preview is still being read. */
function asking(title: string): ActionState {
  return {
    title,
    phase: 'preview',
    preview: undefined,
    typed: '',
    progress: undefined,
    startedAtMs: 0,
    result: undefined,
  };
}
