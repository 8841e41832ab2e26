import type pg from 'pg';

/** What runs statements: a transaction, or a direct connection. */
export interface Queryable {
  /** Of a transaction that was asked for it: when it began by the server's clock, in milliseconds since 1970. */
  readonly startedMs?: Promise<number | undefined> | undefined;
  /**
   * Runs one statement. `values` are its `$1`, `$2`, … Rows have bigint and numeric as numbers.
   *
   * @throws ConsoleError
   */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>;
}

/** A transaction of a Database, which can also take rows in bulk. */
export interface Transaction extends Queryable {
  /**
   * Runs a `COPY … FROM STDIN` with its data, as it is to be sent. The embedded engine has none.
   *
   * @throws ConsoleError
   */
  copy(text: string, data: Buffer): Promise<{ rowCount: number }>;
}
