import { nameKinds, readNames, unknownName, type NameKind } from '../../panes/reading/names.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { readShape } from '../../panes/contract/shape.js';
import type { Context, Names } from '../context.js';

/** Names change rarely: they are read again only after this long. */
const learnedEveryMs = 30_000;

/** The names that commands and filters complete, read from the database when a prompt was last opened. */
export class KnownNames implements Names {
  readonly #app: Context;
  #known = new Map<NameKind, readonly string[]>();
  #database: Context['database'];
  #learnedAtMs = -Infinity;

  constructor(app: Context) {
    this.#app = app;
  }

  of(kind: NameKind): readonly string[] {
    return this.#database === this.#app.database ? (this.#known.get(kind) ?? []) : [];
  }

  meant(kind: NameKind, text: string): string | { unknown: string } {
    const names = this.of(kind);
    const wanted = text.toLowerCase();
    const exact = names.find((name) => name.toLowerCase() === wanted);
    if (exact !== undefined || names.length === 0) return exact ?? text;
    const within = names.filter((name) => name.toLowerCase().includes(wanted));
    const [only] = within;
    if (only !== undefined && within.length === 1) return only;
    const hint = unknownName(kind, text, only === undefined ? names : within);
    return { unknown: `${hint.charAt(0).toUpperCase()}${hint.slice(1)}` };
  }

  /** Reads them in the background, so that typing never waits. */
  learn(): void {
    const { database } = this.#app;
    const nowMs = performance.now();
    const isFresh = database === this.#database && nowMs - this.#learnedAtMs < learnedEveryMs;
    if (!database || isFresh) return;
    if (database !== this.#database) this.#known = new Map();
    this.#database = database;
    this.#learnedAtMs = nowMs;
    void this.#read(database).catch((error: unknown) => {
      this.#learnedAtMs = -Infinity;
      this.#app.log(`names for completion were not read: ${String(error)}`);
    });
  }

  async #read(database: NonNullable<Context['database']>): Promise<void> {
    const shape = await readShape(database);
    for (const kind of nameKinds) {
      const names = await readNames((text) => database.read(text, [], usualLimits), shape, kind);
      if (database !== this.#app.database) return;
      this.#known.set(kind, names);
      this.#app.update({});
    }
  }
}
