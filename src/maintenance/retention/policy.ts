import { readNumber } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import type { Action, Fact } from '../action.js';

import type { Queryable } from '../../db/queryable.js';
import { quoteIdent } from '../../db/quote.js';
import { hasConsoleTable, openConsoleTable } from '../../deploy/console-schema.js';

/** When the policy may be carried out: from one time of day to another, over midnight too. */
export type DailyWindow = {
  /** `01:00` */
  from: string;
  /** `05:00`; not included */
  to: string;
  /** As PostgreSQL knows it: `UTC`, `Europe/Berlin`. */
  timeZone: string;
};

/** The retention policy of one schema. Ages are intervals in PostgreSQL's words; null: for ever. */
export type RetentionPolicy = {
  /** Traces move to the archive when they are older. */
  archiveAfter: string | null;
  /** Archived traces are deleted for good when they are older: counted from their start, as well. */
  purgeAfter: string | null;
  /** Usage logs are deleted when they are older. */
  pruneUsageAfter: string | null;
  /** Poor patterns are deleted when nobody has used them for longer. */
  prunePatternsAfter: string | null;
  /** Materialized views are refreshed when they are older; at any time of day, since that moves and deletes nothing. */
  refreshAfter: string | null;
  window: DailyWindow | null;
};

/** The table of the console's schema that holds the policies. */
const table = 'retention_policies';

/** The age that keeps everything, for a function that takes no NULL. */
export const keepForEver = '1000 years';

/** What the deployment guide recommends; what is archived stays until somebody says otherwise. */
export const recommendedPolicy: RetentionPolicy = {
  archiveAfter: '90 days',
  purgeAfter: null,
  pruneUsageAfter: '180 days',
  prunePatternsAfter: '30 days',
  refreshAfter: null,
  window: null,
};

export type StoredPolicy = RetentionPolicy & { changedAt: Date; changedBy: string };

type PolicyRow = {
  archive_after: string | null;
  purge_after: string | null;
  prune_usage_after: string | null;
  prune_patterns_after: string | null;
  refresh_after: string | null;
  window_from: string | null;
  window_to: string | null;
  time_zone: string;
  changed_at: Date;
  changed_by: string;
};

/** The stored policy of a schema; undefined when there is none, or the role may not read it. */
export async function readPolicy(tx: Queryable, schema: string): Promise<StoredPolicy | undefined> {
  if (!(await hasConsoleTable(tx, table))) return undefined;
  const { rows } = await tx.query<PolicyRow>(
    // The last came later: where this role may not add the column, it is not there.
    `SELECT archive_after, purge_after, prune_usage_after, prune_patterns_after, to_jsonb(p) ->> 'refresh_after' AS refresh_after,
       to_char(window_from, 'HH24:MI') AS window_from, to_char(window_to, 'HH24:MI') AS window_to,
       time_zone, changed_at, changed_by::text
     FROM trace_console.retention_policies AS p WHERE target_schema = $1`,
    [schema],
  );
  return rows[0] && fromRow(rows[0]);
}

/** Whether policies are stored that the role may not read. */
export async function isPolicyHidden(tx: Queryable): Promise<boolean> {
  const { rows } = await tx.query(
    `SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND c.relname = $1`,
    [table],
  );
  return rows.length > 0 && !(await hasConsoleTable(tx, table));
}

export function hiddenPolicy(user: string): ConsoleError {
  const role = quoteIdent(user);
  return new ConsoleError('privilege_missing', `"${user}" may not read the retention policies.`, {
    hint: `Connect as their owner, or let that one run: GRANT USAGE ON SCHEMA trace_console TO ${role}; GRANT SELECT ON trace_console.retention_policies TO ${role};`,
  });
}

function fromRow(row: PolicyRow): StoredPolicy {
  const { window_from: from, window_to: to, time_zone: timeZone } = row;
  return {
    archiveAfter: row.archive_after,
    purgeAfter: row.purge_after,
    pruneUsageAfter: row.prune_usage_after,
    prunePatternsAfter: row.prune_patterns_after,
    refreshAfter: row.refresh_after,
    window: from !== null && to !== null ? { from, to, timeZone } : null,
    changedAt: row.changed_at,
    changedBy: row.changed_by,
  };
}

/**
 * Stores the policy of a schema in place of the one before.
 *
 * @throws ConsoleError `privilege_missing`
 */
export async function writePolicy(
  tx: Queryable,
  schema: string,
  policy: RetentionPolicy,
): Promise<void> {
  if (!(await openConsoleTable(tx, table))) {
    throw new ConsoleError(
      'privilege_missing',
      'This role may not write trace_console.retention_policies, where the policy is stored.',
      { hint: 'Connect as the owner of the schema trace_console, or of the database.' },
    );
  }
  await tx.query(
    `INSERT INTO trace_console.retention_policies AS p
       (target_schema, archive_after, purge_after, prune_usage_after, prune_patterns_after,
        window_from, window_to, time_zone, refresh_after)
     VALUES ($1, $2, $3, $4, $5, $6::time, $7::time, $8, $9)
     ON CONFLICT (target_schema) DO UPDATE SET
       (archive_after, purge_after, prune_usage_after, prune_patterns_after, window_from, window_to, time_zone,
        refresh_after, changed_at, changed_by) =
       (excluded.archive_after, excluded.purge_after, excluded.prune_usage_after, excluded.prune_patterns_after,
        excluded.window_from, excluded.window_to, excluded.time_zone, excluded.refresh_after, now(), current_user)`,
    [
      schema,
      policy.archiveAfter,
      policy.purgeAfter,
      policy.pruneUsageAfter,
      policy.prunePatternsAfter,
      policy.window?.from ?? null,
      policy.window?.to ?? null,
      policy.window?.timeZone ?? 'UTC',
      policy.refreshAfter,
    ],
  );
}

/**
 * @returns whether there was one
 * @throws ConsoleError `privilege_missing` for a role that may not see it
 */
export async function deletePolicy(tx: Queryable, schema: string, user: string): Promise<boolean> {
  if (await isPolicyHidden(tx)) throw hiddenPolicy(user);
  if (!(await hasConsoleTable(tx, table))) return false;
  const { rows } = await tx.query(
    'DELETE FROM trace_console.retention_policies WHERE target_schema = $1 RETURNING 1',
    [schema],
  );
  return rows.length > 0;
}

const dayMs = 86_400_000;

/** Milliseconds until the window closes; 0 while it is closed. Times of day are milliseconds since midnight. */
export function openForMs(fromMs: number, toMs: number, nowMs: number): number {
  const length = (toMs - fromMs + dayMs) % dayMs;
  const since = (nowMs - fromMs + dayMs) % dayMs;
  return since < length ? length - since : 0;
}

/** By the server's clock, in the window's own time zone; Infinity without a window. */
export async function readOpenForMs(tx: Queryable, window: DailyWindow | null): Promise<number> {
  if (window === null) return Infinity;
  const { rows } = await tx.query<{ ms: number }>(
    `SELECT 1000 * date_part('epoch', (now() AT TIME ZONE $1)::time) AS ms`,
    [window.timeZone],
  );
  return openForMs(timeOfDayMs(window.from), timeOfDayMs(window.to), rows[0]?.ms ?? 0);
}

/** A signal that is aborted when the user cancels or the time window closes, so that purging and pruning stop then, too. */
export function untilClosed(signal: AbortSignal, openForMs: number): AbortSignal {
  if (!Number.isFinite(openForMs)) return signal;
  return AbortSignal.any([signal, AbortSignal.timeout(Math.round(openForMs))]);
}

/** `01:30` → 5,400,000 */
function timeOfDayMs(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(readNumber);
  return (hours * 60 + minutes) * 60_000;
}

/** `01:00 to 05:00 (UTC)` */
export function windowText({ from, to, timeZone }: DailyWindow): string {
  return `${from} to ${to} (${timeZone})`;
}

/** A policy for people, a line a rule. */
export function policyFacts(policy: RetentionPolicy): Fact[] {
  const after = (age: string | null, text: string) => (age === null ? 'never' : `${text} ${age}`);
  return [
    { label: 'Traces', value: after(policy.archiveAfter, 'archived when older than') },
    { label: 'Archived', value: after(policy.purgeAfter, 'deleted for good when older than') },
    { label: 'Usage logs', value: after(policy.pruneUsageAfter, 'deleted when older than') },
    {
      label: 'Poor patterns',
      value: after(policy.prunePatternsAfter, 'deleted when unused for'),
    },
    { label: 'Materialized views', value: after(policy.refreshAfter, 'refreshed when older than') },
    {
      label: 'At',
      value: policy.window === null ? 'any time of day' : windowText(policy.window),
    },
  ];
}

/** What is to change; what is missing stays as it is. */
export type SetPolicyInput = Partial<RetentionPolicy>;

const nothing: RetentionPolicy = {
  archiveAfter: null,
  purgeAfter: null,
  pruneUsageAfter: null,
  prunePatternsAfter: null,
  refreshAfter: null,
  window: null,
};

async function changed(
  database: Database,
  tx: Queryable,
  input: SetPolicyInput,
): Promise<RetentionPolicy> {
  const { timeZone } = input.window ?? {};
  if (timeZone !== undefined) await checkTimeZone(tx, timeZone);
  const stored = (await readPolicy(tx, database.capabilities.schema)) ?? nothing;
  const policy = { ...stored, ...input };
  await checkAges(tx, policy);
  return policy;
}

/**
 * What is archived must stay there for a while: a purge as early as the archive would be a plain DELETE.
 *
 * @throws ConsoleError `usage`
 */
async function checkAges(tx: Queryable, policy: RetentionPolicy): Promise<void> {
  const { archiveAfter, purgeAfter } = policy;
  const { rows } = await tx.query<{ early: boolean | null }>(
    'SELECT $1::interval <= $2::interval AS early',
    [purgeAfter, archiveAfter],
  );
  if (rows[0]?.early !== true) return;
  throw new ConsoleError(
    'usage',
    `Archived traces cannot be purged after ${purgeAfter ?? ''}: they are archived after ${archiveAfter ?? ''}.`,
    { hint: 'Give --purge-after a greater age than --archive-after.' },
  );
}

/** @throws ConsoleError `usage` */
async function checkTimeZone(tx: Queryable, timeZone: string): Promise<void> {
  const { rows } = await tx.query(
    'SELECT FROM pg_timezone_names WHERE lower(name) = lower($1) LIMIT 1',
    [timeZone],
  );
  if (rows.length > 0) return;
  throw new ConsoleError('usage', `The server knows no time zone "${timeZone}".`, {
    hint: 'By name: UTC, Europe/Berlin. SELECT name FROM pg_timezone_names lists them.',
  });
}

export const setPolicy: Action<SetPolicyInput, RetentionPolicy> = {
  id: 'set-policy',
  title: 'Store the retention policy',
  requires: ['primary'],
  tables: () => [],
  async preview({ database }, input) {
    const policy = await database.transaction({ readOnly: true }, (tx) =>
      changed(database, tx, input),
    );
    const purges = typeof input.purgeAfter === 'string';
    return {
      title: `Store the retention policy of the schema "${database.capabilities.schema}"`,
      facts: policyFacts(policy),
      sql: ['INSERT INTO trace_console.retention_policies … ON CONFLICT DO UPDATE'],
      warnings: [
        'It is carried out by "trace-console maintain --once", from cron, or by pg_cron: "maintain schedule set".',
        ...(purges
          ? ['Purged traces are gone; pg_cron does not purge, "maintain --once" does.']
          : []),
      ],
      ...(purges ? { typed: 'purge' } : {}),
    };
  },
  async *run({ database }, input) {
    yield { phase: 'storing the policy' };
    const policy = await database.transaction({}, async (tx) => {
      const next = await changed(database, tx, input);
      await writePolicy(tx, database.capabilities.schema, next);
      return next;
    });
    const { archiveAfter, purgeAfter, pruneUsageAfter, prunePatternsAfter, refreshAfter, window } =
      policy;
    return {
      summary: `Stored the retention policy of the schema "${database.capabilities.schema}".`,
      cancelled: false,
      result: {
        archiveAfter,
        purgeAfter,
        pruneUsageAfter,
        prunePatternsAfter,
        refreshAfter,
        window,
      },
    };
  },
};

export type ClearPolicyResult = { cleared: boolean };

export const clearPolicy: Action<Readonly<Record<string, never>>, ClearPolicyResult> = {
  id: 'clear-policy',
  title: 'Clear the retention policy',
  requires: ['primary'],
  tables: () => [],
  async preview({ database }) {
    const { schema } = database.capabilities;
    const policy = await database.transaction({ readOnly: true }, (tx) => readPolicy(tx, schema));
    return {
      title: `Clear the retention policy of the schema "${schema}"`,
      facts: policy ? policyFacts(policy) : [],
      sql: ['DELETE FROM trace_console.retention_policies WHERE target_schema = …'],
      warnings: [],
      ...(policy ? {} : { nothing: 'No policy is stored that this role can see.' }),
    };
  },
  async *run({ database }) {
    const { schema, user } = database.capabilities;
    yield { phase: 'clearing the policy' };
    const cleared = await database.transaction({}, (tx) => deletePolicy(tx, schema, user));
    return {
      summary: cleared ? 'Cleared the retention policy.' : 'There was no retention policy.',
      cancelled: false,
      result: { cleared },
    };
  },
};
