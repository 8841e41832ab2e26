import { resolveSource } from '../../src/db/connection/source.js';
import type { ServerSource } from '../../src/db/connection/source.js';
import { Database, type DatabaseOptions } from '../../src/db/database.js';
import type { Clock } from '../../src/core/clock.js';
import { coreTables } from '../../src/core/tables.js';
import type { TestDatabase } from '../helpers/database.js';

/** Noon of a Thursday. */
export const noon = Date.parse('2026-03-26T12:00:00Z');
export const day = 86_400_000;

const opened: Database[] = [];

export async function openDatabase(
  { url }: { url: string },
  options: DatabaseOptions = {},
): Promise<Database> {
  const source = resolveSource({ url, environment: {} }) as ServerSource;
  const database = await Database.open(source, options);
  opened.push(database);
  return database;
}

export async function closeDatabases(): Promise<void> {
  await Promise.all(opened.splice(0).map((database) => database.close()));
}

/** A clock that only goes on while somebody sleeps: live traffic without waiting. */
export class SteppingClock implements Clock {
  #now: number;
  #steps = 0;
  readonly #onStep: (step: number) => Promise<void> | void;

  constructor(start = noon, onStep: (step: number) => Promise<void> | void = () => undefined) {
    this.#now = start;
    this.#onStep = onStep;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#now;
  }

  /** Time passes without anybody sleeping: a slow server, a suspended laptop. */
  skip(ms: number): void {
    this.#now += ms;
  }

  after(ms: number, callback: () => void): () => void {
    this.#now += ms;
    this.#steps += 1;
    let isCancelled = false;
    const step = async () => this.#onStep(this.#steps);
    void step().finally(() => {
      if (!isCancelled) callback();
    });
    return () => {
      isCancelled = true;
    };
  }
}

/** Every row of every table as text, sorted; without the columns named. */
export async function contents(
  database: TestDatabase,
  leaveOut: Partial<Record<string, readonly string[]>> = {},
): Promise<Record<string, string[]>> {
  const result: Record<string, string[]> = {};
  for (const table of coreTables) {
    const { rows } = await database.query<{ row: string }>(
      `SELECT (to_jsonb(t) - $1::text[])::text AS row FROM ${table} AS t ORDER BY 1`,
      [leaveOut[table] ?? []],
    );
    result[table] = rows.map(({ row }) => row);
  }
  return result;
}

export async function countRows(database: TestDatabase, from: string): Promise<number> {
  const { rows } = await database.query<{ count: string }>(`SELECT count(*) FROM ${from}`);
  return Number(rows[0]?.count);
}
