import { byOwnKey } from '../core/values.js';
import { ConsoleError, readOnlyError } from '../db/errors.js';
import type { Capabilities, TableAccess } from '../db/capabilities.js';
import type { Database } from '../db/database.js';
import type { Action, Requirement } from './action.js';

/**
 * Says why an action may not run here: a typed error with what would allow it, or undefined.
 * PostgreSQL's own read-only mode permits REINDEX, VACUUM and ANALYZE, so `--read-only` is enforced
 * here as well. The screen and the commands ask the same.
 */
export function refusal<Input>(
  database: Database,
  action: Pick<Action<Input, never>, 'title' | 'requires' | 'tables'>,
  input: Input,
): ConsoleError | undefined {
  if (database.readOnly) return readOnlyError(action.title, database);
  const tables = action.tables(input);
  for (const requirement of action.requires) {
    const error = checks[requirement](database, action.title, tables);
    if (error) return error;
  }
  return undefined;
}

type Check = (
  database: Database,
  title: string,
  tables: readonly string[],
) => ConsoleError | undefined;

const checks: Record<Requirement, Check> = {
  // Among several servers the primary is looked for when the action begins.
  primary({ capabilities, hasOtherServers }, title) {
    if (capabilities.standby && !hasOtherServers) {
      return new ConsoleError('standby', `${title}: refused, this server is a standby.`, {
        hint: 'Connect to the primary.',
      });
    }
    return undefined;
  },
  'direct-connection'({ capabilities }, title) {
    if (capabilities.pooled) {
      return new ConsoleError(
        'pooled_connection',
        `${title}: refused behind a connection pooler.`,
        {
          hint: 'Connect to the server itself: its own port (5432), not the pooler’s (6543).',
        },
      );
    }
    return undefined;
  },
  ownership({ capabilities }, title, tables) {
    const others = tables.filter((table) => byOwnKey(capabilities.tables, table)?.owner === false);
    if (others.length === 0) return undefined;
    return new ConsoleError(
      'privilege_missing',
      `${title}: refused, "${capabilities.user}" does not own ${others.join(', ')}.`,
      { hint: ownerHint },
    );
  },
  maintain({ capabilities }, title, tables) {
    return withoutRight(capabilities, title, tables, ({ maintain }) => maintain);
  },
  vacuum({ capabilities }, title, tables) {
    if (capabilities.ownsDatabase) return undefined;
    return withoutRight(capabilities, title, tables, ({ maintain }) => maintain);
  },
  'all-rows'({ capabilities }, title, tables) {
    const filtered = tables.filter((table) => byOwnKey(capabilities.tables, table)?.filtered);
    // service_role's policies let everything pass; the archive function looks at them itself.
    if (filtered.length === 0 || capabilities.user === 'service_role') return undefined;
    return new ConsoleError(
      'row_security',
      `${title}: refused, row-level security hides rows of ${filtered.join(', ')} from "${capabilities.user}".`,
      { hint: 'Connect as the owner of the tables, as service_role, or as a role with BYPASSRLS.' },
    );
  },
  'own-rows'({ capabilities }, title, tables) {
    const { citus } = capabilities;
    const others = tables.filter((table) => citus?.tables.includes(table));
    if (others.length === 0) return undefined;
    return new ConsoleError(
      'cluster',
      `${title}: refused, the rows of ${others.join(', ')} lie on workers of the Citus cluster.`,
      { hint: 'Do it on the worker: the view citus_shards names it, and the table there.' },
    );
  },
};

export const ownerHint = 'Connect as the owner, as a member of the owning role, or as a superuser.';

/** REINDEX, VACUUM and ANALYZE would only warn about a table they may not touch, and pass it over. */
function withoutRight(
  { serverVersion, tables: known, user }: Capabilities,
  title: string,
  tables: readonly string[],
  right: (access: TableAccess) => boolean,
): ConsoleError | undefined {
  const others = tables.filter((table) => {
    const access = byOwnKey(known, table);
    return access !== undefined && !right(access);
  });
  if (others.length === 0) return undefined;
  const grant = serverVersion >= 170_000;
  return new ConsoleError(
    'privilege_missing',
    `${title}: refused, "${user}" does not own ${others.join(', ')}.`,
    { hint: grant ? `${ownerHint} GRANT MAINTAIN on the table allows it, too.` : ownerHint },
  );
}
