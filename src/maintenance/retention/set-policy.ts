import { ConsoleError } from '../../db/errors.js';
import type { Database, Queryable } from '../../db/database.js';
import type { Action } from '../action.js';
import {
  policyFacts,
  deletePolicy,
  readPolicy,
  writePolicy,
  type RetentionPolicy,
} from './policy.js';

/** What is to change; what is missing stays as it is. */
export type SetPolicyInput = Partial<RetentionPolicy>;

const nothing: RetentionPolicy = {
  archiveAfter: null,
  purgeAfter: null,
  pruneUsageAfter: null,
  prunePatternsAfter: null,
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
    const { archiveAfter, purgeAfter, pruneUsageAfter, prunePatternsAfter, window } = policy;
    return {
      summary: `Stored the retention policy of the schema "${database.capabilities.schema}".`,
      cancelled: false,
      result: { archiveAfter, purgeAfter, pruneUsageAfter, prunePatternsAfter, window },
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
