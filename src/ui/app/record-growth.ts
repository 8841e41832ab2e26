import type { RecordView } from '../model/views.js';
import type { ConsoleApp } from './console-app.js';
import { layoutOf } from './record-commands.js';
import { matchCount, showFirstMatch } from './search-commands.js';

/** At a time, so that a key never waits for longer. */
const sliceMs = 8;
const linesAtOnce = 4;
/** Lines laid out below the cursor although nobody looks there yet. */
const lookAhead = 1_000;
/** How often the screen shows how far it is. */
const shownEveryMs = 100;

/**
 * Lays a record out further, a few milliseconds at a time: to its end while somebody needs all of it,
 * to see its last line or what is searched for, else some screens ahead.
 */
export class RecordGrowth {
  readonly #app: ConsoleApp;
  #next: NodeJS.Immediate | undefined;
  #shownAt = 0;

  constructor(app: ConsoleApp) {
    this.#app = app;
  }

  /** Called after every change of what is shown. */
  check(): void {
    if (this.#next === undefined && this.#unfinished()) {
      this.#next = setImmediate(() => this.#grow());
    }
  }

  stop(): void {
    clearImmediate(this.#next);
  }

  /** The record in front, or behind the line that is typed into, while more of it is needed. */
  #unfinished(): RecordView | undefined {
    const view = this.#app.model.views.findLast(({ kind }) => kind !== 'prompt');
    if (view?.kind !== 'record') return undefined;
    const { isWhole, lines } = layoutOf(this.#app, view);
    const isNeeded = lines.length < view.index + lookAhead || (view.search?.text ?? '') !== '';
    return isNeeded && !isWhole ? view : undefined;
  }

  #grow(): void {
    this.#next = undefined;
    const view = this.#unfinished();
    if (!view) return;
    const layout = layoutOf(this.#app, view);
    const found = matchCount(this.#app);
    const start = performance.now();
    while (!layout.isWhole && performance.now() - start < sliceMs) {
      layout.grow(layout.lines.length + linesAtOnce);
    }
    if (found === 0 && matchCount(this.#app) > 0) {
      showFirstMatch(this.#app);
    } else if (layout.isWhole || start - this.#shownAt > shownEveryMs) {
      this.#shownAt = start;
      this.#app.update({});
    } else {
      this.check();
    }
  }
}
