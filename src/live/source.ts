import type { PaneId } from '../panes/pane.js';
import type { Clock } from './clock.js';
import type { LiveState } from './state.js';

/** Where the screen's state comes from: the engine, which asks a database, or a recording. */
export interface LiveSource {
  readonly clock: Clock;
  /** The same object until something changes. */
  readonly getState: () => LiveState;
  /** Calls `listener` after changes, several at once; the result ends it. */
  readonly subscribe: (listener: () => void) => () => void;
  start(): void;
  stop(): Promise<void>;
  setVisible(ids: Iterable<PaneId>): void;
  setPaused(paused: boolean): void;
  setCadence(cadenceMs: number): void;
  setWindow(windowMs: number): void;
  /** The windows end at this moment in the past, milliseconds since 1970; undefined: now. */
  setUntil(untilMs: number | undefined): void;
  setExact(id: PaneId, exact: boolean): void;
  refreshNow(id?: PaneId): void;
  schemaChanged(): Promise<void>;
}
