import { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import { parseDuration } from '../../core/format/time.js';
import { counted, withSeparators } from '../../core/format/number.js';
import type { Action, ActionContext, Outcome, Preview, Progress } from '../action.js';
import { boundedText } from '../../db/quote.js';

/** The rules; what is left out has its default. Intervals in PostgreSQL's words: `180 days`. */
export type PruneInput = {
  /** Usage logs older than this go; default 180 days. */
  usageOlderThan?: string;
  /** Patterns with fewer uses go; default 5, */
  minUses?: number;
  /** and a lower success rate, 0..1; default 0.5, */
  minSuccess?: number;
  /** and no use for so long; default 30 days. */
  unusedFor?: string;
};

export type PruneResult = {
  /** By their age. */
  usageLogs: number;
  patterns: number;
  /** Younger logs, which went with their patterns. */
  usageLogsOfPatterns: number;
};

type Batch = { usage_logs: number; patterns: number; usage_logs_of_patterns: number };

const defaults = { usageOlderThan: '180 days', minUses: 5, minSuccess: 0.5, unusedFor: '30 days' };

/** Rows a statement: about 20 ms, so that nobody waits long for a row that is to go. */
const batchSize = 500;

const mostListed = 20;

/**
 * Deletes old usage logs and patterns of little value, in batches. A pattern that is being used at the
 * moment is passed over; one that was never used has not proved anything, and stays.
 */
export const prunePatterns: Action<PruneInput, PruneResult> = {
  id: 'prune',
  title: 'Prune patterns',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'prune', whenTaken: 'refuse' },
  subject: rulesText,
  readInput,
  tables: () => ['success_patterns', 'pattern_usage_log'],
  offers: [
    {
      command: {
        id: 'prune',
        key: 'p',
        title: 'delete old usage logs and patterns of little value, after a preview',
      },
      choose: () => ({ title: 'Prune patterns', input: {} }),
    },
  ],
  preview,
  run,
};

const call = `prune_patterns($1::interval, $2, $3, $4::interval, dry_run => $5, as_of => $6::timestamptz, batch_size => $7)`;

type Rules = Required<PruneInput>;

function rulesOf(input: PruneInput): Rules {
  return { ...defaults, ...input };
}

function rulesText(input: PruneInput): string {
  const { usageOlderThan, minUses, minSuccess, unusedFor } = rulesOf(input);
  return `usage older than ${usageOlderThan}; under ${minUses} uses, under ${minSuccess * 100} % success, unused for ${unusedFor}`;
}

async function preview({ database }: ActionContext, input: PruneInput): Promise<Preview> {
  const rules = rulesOf(input);
  await checkFunction(database);
  const limits = { readOnly: true, statementTimeoutMs: 60_000 };
  const { counts, patterns } = await database.transaction(limits, async (tx) => {
    const { rows } = await tx.query<Batch & { pattern_ids: string[] }>(
      `SELECT * FROM ${call}`,
      valuesOf(rules, true, 'now', null),
    );
    const [found] = rows;
    if (!found) throw new ConsoleError('internal', 'prune_patterns told nothing.');
    const listed = await tx.query<PatternRow>(patternsStatement, [
      found.pattern_ids.slice(0, mostListed),
    ]);
    return { counts: found, patterns: listed.rows };
  });
  const lines = patterns.map(lineOf);
  const more = counts.patterns - lines.length;
  const nothing = counts.patterns === 0 && counts.usage_logs === 0;
  return {
    title: 'Prune patterns',
    facts: [
      {
        label: 'Usage logs',
        value: `${withSeparators(counts.usage_logs)} older than ${rules.usageOlderThan}`,
      },
      {
        label: 'Patterns',
        value: `${withSeparators(counts.patterns)} with fewer than ${rules.minUses} uses, under ${rules.minSuccess * 100} % success, unused for ${rules.unusedFor}`,
      },
      {
        label: 'With them',
        value: `${withSeparators(counts.usage_logs_of_patterns)} younger usage logs`,
      },
      { label: 'Locks', value: `single rows, ${batchSize} at a time` },
    ],
    list: more > 0 ? [...lines, `and ${withSeparators(more)} more`] : lines,
    sql: [
      `SELECT * FROM prune_patterns('${rules.usageOlderThan}', ${rules.minUses}, ${rules.minSuccess}, '${rules.unusedFor}', batch_size => ${batchSize})`,
    ],
    warnings: ['They are deleted for good; nothing moves to an archive.'],
    typed: 'prune',
    ...(nothing ? { nothing: 'No usage log and no pattern is due by these rules.' } : {}),
  };
}

type PatternRow = {
  intent: string;
  hash: string;
  agent: string | null;
  uses: number;
  good: number;
  bad: number;
  unused_days: number | null;
  is_learned: boolean;
};

const patternsStatement = `
SELECT ${boundedText('intent_classification', 60)} AS intent, ${boundedText('pattern_hash', 20)} AS hash,
  ${boundedText('agent_sequence[1]', 60)} AS agent,
  total_usage_count AS uses, success_count AS good, failure_count AS bad, pattern_hash LIKE 'learned:%' AS is_learned,
  CASE WHEN isfinite(last_used_at) THEN floor(extract(epoch FROM now() - last_used_at) / 86400)::int END AS unused_days
FROM success_patterns WHERE id = ANY ($1::uuid[]) ORDER BY last_used_at, id`;

/**
 * Which one goes, first, for a narrow screen cuts the line; then why, by each of the rules above the list, and what becomes of it:
 * `code_review: 2 uses, 0 good, unused for 41 days; by reviewer, learned:4f1c…; learned again when such a turn comes`.
 */
function lineOf(pattern: PatternRow): string {
  const { intent, hash, agent, uses, good, bad, unused_days: days, is_learned: learned } = pattern;
  const judged = good + bad;
  const how = [
    counted(uses, 'use'),
    judged === 0 ? 'none judged' : `${good} good${judged === uses ? '' : ` of ${judged} judged`}`,
    ...(days === null ? [] : [`unused for ${counted(days, 'day')}`]),
  ];
  const by = agent === null ? hash : `by ${agent}, ${hash}`;
  return `${intent}: ${how.join(', ')}; ${by}${learned ? '; learned again when such a turn comes' : ''}`;
}

function valuesOf(rules: Rules, dryRun: boolean, asOf: string, size: number | null): unknown[] {
  const { usageOlderThan, minUses, minSuccess, unusedFor } = rules;
  return [usageOlderThan, minUses, minSuccess, unusedFor, dryRun, asOf, size];
}

/** @throws ConsoleError where the schema was made without the function */
async function checkFunction(database: Database): Promise<void> {
  const { schema } = database.capabilities;
  const [found] = await database.read<{ there: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'prune_patterns'
       AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)) AS there`,
    [schema],
  );
  if (found?.there) return;
  throw new ConsoleError('schema_missing', `${schema} has no function prune_patterns.`, {
    hint: 'trace-console schema apply creates it.',
  });
}

async function* run(
  { database, signal }: ActionContext,
  input: PruneInput,
): AsyncGenerator<Progress, Outcome<PruneResult>> {
  const rules = rulesOf(input);
  await checkFunction(database);
  const { asOf, total } = await countDue(database, rules);
  const result = { usageLogs: 0, patterns: 0, usageLogsOfPatterns: 0 };
  let isDone = false;
  for (;;) {
    const done = result.usageLogs + result.patterns;
    yield { phase: 'deleting', done, total: Math.max(total, done), unit: 'rows' };
    if (isDone || signal.aborted) break;
    const batch = await database.transaction({ statementTimeoutMs: 60_000 }, async (tx) => {
      const { rows } = await tx.query<Batch>(
        `SELECT usage_logs, patterns, usage_logs_of_patterns FROM ${call}`,
        valuesOf(rules, false, asOf, batchSize),
      );
      return rows[0];
    });
    if (!batch) break;
    result.usageLogs += batch.usage_logs;
    result.patterns += batch.patterns;
    result.usageLogsOfPatterns += batch.usage_logs_of_patterns;
    isDone = batch.usage_logs === 0 && batch.patterns === 0;
  }
  const cancelled = signal.aborted && !isDone;
  return { summary: summaryOf(result, cancelled), cancelled, result };
}

/** The moment that the ages are counted from, the same for all batches. */
async function countDue(
  database: Database,
  rules: Rules,
): Promise<{ asOf: string; total: number }> {
  return database.transaction({ readOnly: true, statementTimeoutMs: 60_000 }, async (tx) => {
    const { rows } = await tx.query<{ as_of: string; total: number }>(
      `SELECT now()::text AS as_of, usage_logs + patterns AS total FROM ${call}`,
      valuesOf(rules, true, 'now', null),
    );
    return { asOf: rows[0]?.as_of ?? 'now', total: rows[0]?.total ?? 0 };
  });
}

function summaryOf({ usageLogs, patterns, usageLogsOfPatterns }: PruneResult, cancelled: boolean) {
  const count = withSeparators;
  return `${cancelled ? 'Cancelled after' : 'Pruned'} ${counted(patterns, 'pattern')}, ${counted(usageLogs, 'old usage log')} and ${count(usageLogsOfPatterns)} of those patterns.`;
}

/** The journal's JSON as rules again. */
function readInput(stored: unknown): PruneInput | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { usageOlderThan, minUses, minSuccess, unusedFor } = stored as Record<string, unknown>;
  const texts = [usageOlderThan, unusedFor].every(
    (value) =>
      value === undefined || (typeof value === 'string' && parseDuration(value) !== undefined),
  );
  const numbers = [minUses, minSuccess].every(
    (value) => value === undefined || typeof value === 'number',
  );
  return texts && numbers ? stored : undefined;
}
