import type { Tone } from '../../panes/pane.js';
import type { ConsoleApp } from './console-app.js';

const messageMs = 6_000;

/** The line in place of the key bar: until the next key, or for some seconds. */
export class MessageLine {
  readonly #app: ConsoleApp;
  #timer: NodeJS.Timeout | undefined;

  constructor(app: ConsoleApp) {
    this.#app = app;
  }

  show(text: string, tone: Tone): void {
    clearTimeout(this.#timer);
    this.#app.update({ message: { text, tone } });
    this.#timer = setTimeout(() => this.clear(), messageMs);
    this.#timer.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
    if (this.#app.model.message) this.#app.update({ message: undefined });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
