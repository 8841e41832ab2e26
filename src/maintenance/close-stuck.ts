import { formatAge, intervalText, parseDuration } from '../core/format/time.js';
import { withSeparators } from '../core/format/number.js';
import { byOwnKey } from '../core/values.js';
import type { Database } from '../db/database.js';
import type { Queryable } from '../db/queryable.js';
import type { Action, ActionContext, OfferCommand, Outcome, Preview, Progress } from './action.js';
import { boundedText } from '../db/quote.js';

/** Which traces count as stuck. */
export type CloseStuckInput = {
  /** In progress for longer than this interval; default 30 minutes, as doctor and the panes count them. */
  olderThan?: string;
  /** Exactly those that were shown: in progress since before this moment, as {@link stuckCutoff} gives it. */
  startedBefore?: string;
};

export type CloseStuckResult = {
  closed: number;
  /** Still stuck: somebody has locked them. */
  remaining: number;
};

/** What doctor and the panes call stuck, unless told otherwise. */
export const defaultStuckAfter = intervalText(30 * 60_000);

/** Rows a statement, so that no writer waits long. */
const batchSize = 500;

const mostListed = 20;

/** `$1`: the moment before which they started. An infinite start is no age. The one definition, for doctor too. */
export const isStuck = `status = 'in_progress' AND started_at < LEAST($1::timestamptz, now()) AND isfinite(started_at)`;

/** The moment so long ago, by the server's clock and to the microsecond. */
export async function stuckCutoff(tx: Queryable, age = defaultStuckAfter): Promise<string> {
  const { rows } = await tx.query<{ cutoff: string }>(
    `SELECT to_char((now() - $1::interval) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS cutoff`,
    [age],
  );
  return rows[0]?.cutoff ?? '-infinity';
}

/** The input that closes exactly the traces that are stuck now, and none that become stuck later. */
export async function shownAsStuck(database: Database): Promise<CloseStuckInput> {
  const cutoff = await database.transaction({ readOnly: true }, (tx) => stuckCutoff(tx));
  return { olderThan: defaultStuckAfter, startedBefore: cutoff };
}

/** Lists exactly the traces that it closes: the name of the list, and of the command that opens it. */
export const stuckList = 'stuck';

export const closeStuckCommand: OfferCommand = {
  id: 'close-stuck',
  key: 'T',
  title: 'close traces that are stuck in progress, after a preview',
};

/**
 * Closes the traces whose writer died: they get the status timeout and end at their last sign of life, so that an
 * outage does not become a duration of days. One that its writer ends in the same moment keeps that end.
 */
export const closeStuck: Action<CloseStuckInput, CloseStuckResult> = {
  id: 'close-stuck',
  title: 'Close stuck traces',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'close-stuck', whenTaken: 'refuse' },
  subject: inProgressText,
  readInput,
  tables: () => ['execution_traces'],
  offers: [
    {
      command: closeStuckCommand,
      list: { id: stuckList, bar: 'close all' },
      choose(_, database) {
        const title = 'Close stuck traces';
        return { title, chosen: shownAsStuck(database).then((input) => ({ title, input })) };
      },
    },
  ],
  preview,
  run,
};

/** `in progress for more than 30 minutes` */
function inProgressText({ olderThan, startedBefore }: CloseStuckInput): string {
  if (olderThan === undefined && startedBefore !== undefined) {
    return `in progress since before ${startedBefore}`;
  }
  return `in progress for more than ${olderThan ?? defaultStuckAfter}`;
}

async function cutoffOf(tx: Queryable, input: CloseStuckInput): Promise<string> {
  return input.startedBefore ?? stuckCutoff(tx, input.olderThan);
}

type StuckRow = { correlation_id: string; source: string; age_ms: number };

async function preview({ database }: ActionContext, input: CloseStuckInput): Promise<Preview> {
  const { stuck, oldest, cutoff } = await database.transaction({ readOnly: true }, async (tx) => {
    const cutoff = await cutoffOf(tx, input);
    const { rows } = await tx.query<StuckRow>(
      `SELECT correlation_id, ${boundedText('source', 60)} AS source, 1000 * date_part('epoch', now() - started_at) AS age_ms
       FROM execution_traces WHERE ${isStuck} ORDER BY started_at LIMIT ${mostListed}`,
      [cutoff],
    );
    return { stuck: await countStuck(tx, cutoff), oldest: rows, cutoff };
  });
  const more = stuck - oldest.length;
  const lines = oldest.map(
    ({ correlation_id: id, source, age_ms: ms }) => `${id} ${source}, for ${formatAge(ms)}`,
  );
  return {
    title: 'Close stuck traces',
    facts: [
      { label: 'Traces', value: `${withSeparators(stuck)} ${inProgressText(input)}` },
      { label: 'They become', value: 'timeout, ended at their last sign of life' },
      { label: 'Locks', value: `single rows, ${batchSize} at a time` },
    ],
    list: more > 0 ? [...lines, `and ${withSeparators(more)} more`] : lines,
    sql: [
      `UPDATE execution_traces SET status = 'timeout', completed_at = … WHERE status = 'in_progress' AND started_at < '${cutoff}'`,
    ],
    warnings: ['A trace whose writer still lives is closed, too; its writer can still end it.'],
    ...(stuck === 0 ? { nothing: `No trace is ${inProgressText(input)}.` } : {}),
  };
}

async function countStuck(tx: Queryable, cutoff: string): Promise<number> {
  const { rows } = await tx.query<{ stuck: number }>(
    `SELECT count(*) AS stuck FROM execution_traces WHERE ${isStuck}`,
    [cutoff],
  );
  return rows[0]?.stuck ?? 0;
}

async function* run(
  { database, signal }: ActionContext,
  input: CloseStuckInput,
): AsyncGenerator<Progress, Outcome<CloseStuckResult>> {
  // Traces that became stuck after the preview are left to the next run.
  const cutoff = await database.transaction({ readOnly: true }, (tx) => cutoffOf(tx, input));
  const count = () => database.transaction({ readOnly: true }, (tx) => countStuck(tx, cutoff));
  const total = await count();
  let closed = 0;
  let batch = total;
  while (batch > 0 && !signal.aborted) {
    yield { phase: 'closing', done: closed, total: Math.max(total, closed), unit: 'traces' };
    batch = await closeBatch(database, cutoff);
    closed += batch;
  }
  const remaining = await count();
  const cancelled = signal.aborted && remaining > 0;
  const left = remaining > 0 ? `; ${withSeparators(remaining)} remain` : '';
  return {
    summary: `${cancelled ? 'Cancelled after' : 'Closed'} ${withSeparators(closed)} stuck traces${left}.`,
    cancelled,
    result: { closed, remaining },
  };
}

/** Locked traces are skipped, because their writer is alive. */
async function closeBatch(database: Database, cutoff: string): Promise<number> {
  const { tables } = database.capabilities;
  const signs = [
    ['hook_executions', 'started_at'],
    ['endpoint_calls', 'started_at'],
    ['agent_routing_decisions', 'created_at'],
  ].flatMap(([table = '', at = '']) =>
    byOwnKey(tables, table) ? [`(SELECT max(${at}) FROM ${table} WHERE trace_id = t.id)`] : [],
  );
  const lastSign = `GREATEST(${['t.started_at', ...signs].join(', ')})`;
  return database.transaction({ statementTimeoutMs: 60_000 }, async (tx) => {
    const { rows } = await tx.query<{ closed: number }>(
      `WITH stuck AS (
         SELECT id FROM execution_traces WHERE ${isStuck}
         ORDER BY started_at LIMIT ${batchSize} FOR UPDATE SKIP LOCKED
       ), closed AS (
         UPDATE execution_traces AS t SET status = 'timeout', completed_at = ${lastSign}
         FROM stuck WHERE t.id = stuck.id RETURNING 1
       )
       SELECT count(*) AS closed FROM closed`,
      [cutoff],
    );
    return rows[0]?.closed ?? 0;
  });
}

/** The journal's JSON as an input again. */
function readInput(stored: unknown): CloseStuckInput | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { olderThan, startedBefore } = stored as Record<string, unknown>;
  const isSpan =
    olderThan === undefined ||
    (typeof olderThan === 'string' && parseDuration(olderThan) !== undefined);
  const isMoment =
    startedBefore === undefined ||
    (typeof startedBefore === 'string' && readCutoff(startedBefore) !== undefined);
  if (!isSpan || !isMoment) return undefined;
  return {
    ...(olderThan === undefined ? {} : { olderThan }),
    ...(startedBefore === undefined ? {} : { startedBefore }),
  };
}

/** A moment as doctor prints it; undefined for anything else. */
export function readCutoff(text: string): string | undefined {
  const isCutoff = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(text);
  return isCutoff && !Number.isNaN(Date.parse(text)) ? text : undefined;
}
