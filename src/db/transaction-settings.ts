import { quoteLiteral } from './quote.js';

/** Limits and kind of one transaction. Times are milliseconds; 0 means no limit. */
export type TransactionOptions = {
  readOnly?: boolean;
  /** Default 10,000: a console never keeps a server busy for longer unasked. */
  statementTimeoutMs?: number;
  /** Default 1,000: a console never queues behind DDL, where others would queue behind it. */
  lockTimeoutMs?: number;
  isolation?: 'READ COMMITTED' | 'REPEATABLE READ';
  /** A ready list of quoted schemas instead of the target's. */
  searchPath?: string;
  /** Whose question it is, for the log of statements: a pane, an action. */
  purpose?: string;
  /** Further settings by name, each applied with SET LOCAL. */
  settings?: Readonly<Record<string, string>>;
};

/** Milliseconds. */
export const defaultLimits = { statementTimeoutMs: 10_000, lockTimeoutMs: 1_000 };

/**
 * BEGIN with its settings in one round trip. All are SET LOCAL: they end with the transaction, also
 * behind a transaction pooler.
 */
export function beginStatement(options: TransactionOptions): string {
  const settings: Record<string, string> = {
    statement_timeout: String(options.statementTimeoutMs ?? defaultLimits.statementTimeoutMs),
    lock_timeout: String(options.lockTimeoutMs ?? defaultLimits.lockTimeoutMs),
    // pg reads timestamps in ISO form only; a role may have another default.
    datestyle: 'ISO, YMD',
    ...options.settings,
  };
  const kind = options.readOnly ? ' READ ONLY' : '';
  const isolation = options.isolation ? ` ISOLATION LEVEL ${options.isolation}` : '';
  return [
    `BEGIN${isolation}${kind}`,
    ...Object.entries(settings).map(
      ([name, value]) => `SET LOCAL ${name} = ${quoteLiteral(value)}`,
    ),
    ...(options.searchPath ? [`SET LOCAL search_path = ${options.searchPath}`] : []),
  ].join('; ');
}
