import type pg from 'pg';
import { ConsoleError } from './errors.js';
import type { Queryable, Transaction } from './queryable.js';

/** One statement that the console ran. */
export type LoggedStatement = {
  /** Whose question it was: a pane, `vitals`, an action; undefined for what nobody named. */
  purpose: string | undefined;
  text: string;
  values: readonly unknown[];
  /** Of some values only the size was kept. */
  isCut: boolean;
  /** By this machine's clock, milliseconds since 1970. */
  startedAt: number;
  /** From asking to the answer, milliseconds: with what was sent before it and answered first. */
  ms: number;
  /** Rows returned or changed; null when it failed. */
  rows: number | null;
  /** The error's code and SQLSTATE; undefined when it succeeded. */
  failure: string | undefined;
};

/** Statements kept; the oldest go. */
const kept = 500;
/** Different statements of a purpose, the last run of each kept however many others ran since. */
const keptOfPurpose = 50;
const mostPurposes = 100;
const mostText = 4_096;
const mostItems = 256;

/** What one console has asked its database, in memory only: for `:log` and `:sql`. */
export class StatementLog {
  #entries: LoggedStatement[] = [];
  readonly #last = new Map<string, Map<string, LoggedStatement>>();
  #ran = 0;

  /** How many were run in all, also those that are not kept any more. */
  get ran(): number {
    return this.#ran;
  }

  /** The newest last. */
  get entries(): readonly LoggedStatement[] {
    return this.#entries;
  }

  /** The last run of each different statement for a purpose, in the order in which they ran. */
  lastFor(purpose: string): LoggedStatement[] {
    return [...(this.#last.get(purpose)?.values() ?? [])];
  }

  /** The same `query`, written down. */
  watching(query: Queryable['query'], purpose: string | undefined): Queryable['query'] {
    return async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) => {
      const short = values.map(bounded);
      const isCut = short.some((value, index) => value !== values[index]);
      const entry = { purpose, text, values: short, isCut };
      return this.#watch(entry, () => query<Row>(text, values));
    };
  }

  /** The same `copy`, written down without its data. */
  watchingCopy(copy: Transaction['copy'], purpose: string | undefined): Transaction['copy'] {
    return (text, data) =>
      this.#watch({ purpose, text, values: [], isCut: false }, () => copy(text, data));
  }

  async #watch<Result extends { rowCount: number | null }>(
    entry: Pick<LoggedStatement, 'purpose' | 'text' | 'values' | 'isCut'>,
    run: () => Promise<Result>,
  ): Promise<Result> {
    const startedAt = Date.now();
    const before = performance.now();
    const add = (rows: number | null, failure: string | undefined) =>
      this.#add({ ...entry, startedAt, ms: performance.now() - before, rows, failure });
    try {
      const result = await run();
      add(result.rowCount ?? 0, undefined);
      return result;
    } catch (error) {
      add(null, codeOf(error));
      throw error;
    }
  }

  #add(entry: LoggedStatement): void {
    this.#entries.push(entry);
    this.#ran += 1;
    // In halves, so that not every statement moves the whole list.
    if (this.#entries.length >= 2 * kept) this.#entries = this.#entries.slice(-kept);
    if (entry.purpose === undefined) return;
    const last = this.#last.get(entry.purpose) ?? new Map<string, LoggedStatement>();
    setLast(last, entry.text, entry, keptOfPurpose);
    setLast(this.#last, entry.purpose, last, mostPurposes);
  }
}

/** Moved to the end, where its newest run belongs; the oldest goes. */
function setLast<Value>(map: Map<string, Value>, key: string, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}

/** Rows that are written are values of megabytes, and lists of ids are long: of those only the size is kept. */
function bounded(value: unknown): unknown {
  if (typeof value === 'string' && value.length > mostText) return `(${value.length} characters)`;
  if (Array.isArray(value) && value.length > mostItems) return `(${value.length} values)`;
  return value;
}

function codeOf(error: unknown): string {
  if (!(error instanceof ConsoleError)) return 'failed';
  return error.sqlState === undefined ? error.code : `${error.code} (${error.sqlState})`;
}
