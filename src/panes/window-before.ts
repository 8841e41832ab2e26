import type { Queryable } from '../db/database.js';
import { groupKey } from './call-totals.js';
import { CallsReader, type CallGroup, type CallGroups, type CallsOptions } from './calls-reader.js';
import type { ReadRequest } from './pane.js';

/** The window before changes little: it is counted on this often. */
const countedEveryMs = 60_000;
const longestComparedMs = 86_400_000;

/** What was counted in the window before the one that is shown, by group. */
export type CallsBefore = ReadonlyMap<string, CallGroup>;

/**
 * Counts the window before the one that is shown, for comparison. Its slices are kept as those of the other
 * are: once it is there, a minute costs the slices that a minute brings.
 */
export class WindowBefore {
  readonly #calls: CallsReader;
  #kept: { windowMs: number; endMs: number; counts: CallsBefore } | undefined;

  constructor({ source, restless = false }: Pick<CallsOptions, 'source' | 'restless'>) {
    this.#calls = new CallsReader({ source, restless });
  }

  /**
   * @param shown the window that is shown; it comes first
   * @returns `before`: null for windows longer than a day, and as long as not all of it is counted; `share`:
   * how much of both windows is there
   */
  async read(
    tx: Queryable,
    request: ReadRequest,
    shown: Pick<CallGroups, 'endMs' | 'share'>,
  ): Promise<{ before: CallsBefore | null; share: number }> {
    const { windowMs, exact } = request;
    if (windowMs > longestComparedMs) return { before: null, share: shown.share };
    if (shown.share < 1) return { before: null, share: shown.share / 2 };
    const kept = this.#kept?.windowMs === windowMs ? this.#kept : undefined;
    const isFresh = kept !== undefined && Math.abs(shown.endMs - kept.endMs) < countedEveryMs;
    if (isFresh && !exact) return { before: kept.counts, share: 1 };
    const untilMs = shown.endMs - windowMs;
    const { groups, share } = await this.#calls.read(tx, { ...request, untilMs });
    if (share < 1) return { before: null, share: (1 + share) / 2 };
    const counts = new Map(groups.map((group) => [groupKey(group.groups), group]));
    this.#kept = { windowMs, endMs: shown.endMs, counts };
    return { before: counts, share: 1 };
  }

  reset(): void {
    this.#calls.reset();
    this.#kept = undefined;
  }
}

/** How many calls there were in all; null without a window before. */
export function callsIn(before: CallsBefore | null): number | null {
  return before && [...before.values()].reduce((sum, { calls }) => sum + calls, 0);
}
