import type { Tone } from '../../panes/contract/column.js';
import type { Context, View } from '../context.js';

const messageMs = 6_000;

/** The line in place of the key bar: until the next key, or for some seconds. */
export class MessageLine {
  readonly #context: Context;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  show(text: string, tone: Tone): void {
    clearTimeout(this.#timer);
    this.#context.update({ message: { text, tone } });
    this.#timer = setTimeout(() => this.clear(), messageMs);
    this.#timer.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
    if (this.#context.model.message) this.#context.update({ message: undefined });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** How often the screen shows how far idle work is. */
const shownEveryMs = 100;

/** Does what a view leaves to idle moments, a few milliseconds at a time. */
export class IdleWork {
  readonly #context: Context;
  #next: NodeJS.Immediate | undefined;
  #shownAt = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Called after every change of what is shown. */
  check(): void {
    if (this.#next === undefined && this.#work()) {
      this.#next = setImmediate(() => this.#run());
    }
  }

  stop(): void {
    clearImmediate(this.#next);
  }

  /** Of the focused view, or of the one behind the line that is typed into. */
  #work(): (() => void) | undefined {
    const view: View | undefined = this.#context.model.views.findLast(({ isPrompt }) => !isPrompt);
    return view?.idleWork?.(this.#context);
  }

  #run(): void {
    this.#next = undefined;
    const work = this.#work();
    if (!work) return;
    const start = performance.now();
    work();
    if (this.#work() === undefined || start - this.#shownAt > shownEveryMs) {
      this.#shownAt = start;
      this.#context.update({});
    } else {
      this.check();
    }
  }
}
