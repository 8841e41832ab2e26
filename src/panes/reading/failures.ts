import { type SchemaShape, columnOrNull } from '../contract/shape.js';
import { columnOf, type CallSource } from './calls.js';
import { quoteIdent } from '../../db/quote.js';
import { within } from './windows.js';

/**
 * What failed, by type of error: traces, hooks and calls, as error_analysis counts them, but only those of a window.
 * Each branch reads its partial index of failures. Sums: traces, hooks, calls.
 */
export function failureSource(shape: SchemaShape): CallSource {
  const branch = (table: string, kind: string, failed: string) => {
    const column = columnOf(shape, table, table);
    return `SELECT left(COALESCE(${column('error_type', 'text')}, 'unknown'), 200) AS error_type, '${kind}' AS kind, started_at FROM ${table} WHERE ${failed}`;
  };
  const usable = [
    ['execution_traces', 'trace', "status IN ('failed', 'timeout')", 'status'],
    ['hook_executions', 'hook', "status IN ('failed', 'timeout')", 'status'],
    ['endpoint_calls', 'call', 'success = false', 'success'],
  ] as const;
  const branches = usable
    .filter(([table, , , needed]) => {
      const relation = shape.relations.get(table);
      return relation?.select && relation.columns.has('started_at') && relation.columns.has(needed);
    })
    .map(([table, kind, failed]) => branch(table, kind, failed));
  return {
    from: `(${branches.join(' UNION ALL ')}) AS f`,
    at: 'f.started_at',
    groups: ['f.error_type'],
    failed: 'true',
    inProgress: 'false',
    sums: ['trace', 'hook', 'call'].map((kind) => `CASE WHEN f.kind = '${kind}' THEN 1 ELSE 0 END`),
  };
}

/** `$1` and `$2`; behind them what the rows are chosen by. */
const inWindow = within('started_at', '$1', '$2');

/**
 * The failures of a type among traces, hooks and calls. `$1`, `$2`: window, `$3`: type. Each branch reads the window from its
 * partial index of failures. Texts are cut.
 */
export function failuresOfTypeStatement(shape: SchemaShape): string {
  const branch = (table: string, kind: string, what: string, failed: string) => {
    const column = (name: string, type: string) => columnOrNull(shape, table, name, type);
    return `
SELECT '${kind}' AS kind, id, ${kind === 'trace' ? 'id' : column('trace_id', 'uuid')} AS trace_id, started_at,
  ${column('duration_ms', 'bigint')} AS duration_ms, true AS failed, left(${what}, 200) AS what,
  left(${column('error_message', 'text')}, 300) AS text
FROM ${quoteIdent(table)}
WHERE ${failed} AND left(COALESCE(${column('error_type', 'text')}, 'unknown'), 200) = $3 AND ${inWindow}`;
  };
  const failed = "status IN ('failed', 'timeout')";
  const branches = [
    ['execution_traces', 'trace', 'source', failed, 'status'],
    ['hook_executions', 'hook', 'hook_name', failed, 'status'],
    ['endpoint_calls', 'endpoint_call', 'service_name', 'success = false', 'success'],
  ] as const;
  const usable = branches.filter(([table, , , , needed]) =>
    shape.relations.get(table)?.columns.has(needed),
  );
  return usable
    .map(([table, kind, what, where]) => branch(table, kind, what, where))
    .join('\nUNION ALL');
}
