import type { Database } from '../../db/database.js';
import { ConsoleError, losesConnection } from '../../db/errors.js';
import type { Action, ActionContext, Outcome, Preview, Progress } from '../action.js';
import { keepSizes } from '../../deploy/kept-sizes.js';
import { archiveTraces } from '../archive/archive-traces.js';
import { purgeTrees } from '../archive/purge-trees.js';
import { refreshViews } from '../materialize.js';
import { prunePatterns } from '../prune/prune-patterns.js';
import { analyze } from '../statistics/maintain-tables.js';
import {
  hiddenPolicy,
  isPolicyHidden,
  keepForEver,
  readPolicy,
  type StoredPolicy,
  readOpenForMs,
  untilClosed,
  windowText,
  type RetentionPolicy,
} from './policy.js';
import { refusal } from '../guard.js';
import { runGuarded } from '../journal/journaled.js';

export type MaintainInput = {
  /** Also outside the policy's time of day. */
  anyTime?: boolean;
};

export type StepResult = {
  action: string;
  state: 'done' | 'nothing' | 'cancelled' | 'failed';
  summary: string;
  /** The outcome of the step's own action. */
  result: unknown;
};

export type MaintainResult = { ok: boolean; steps: StepResult[] };

/** What a policy can ask for, in the order in which it is done. */
const plans: readonly PlanStep[] = [
  planStep(archiveTraces, ({ archiveAfter }, openForMs) =>
    archiveAfter === null
      ? undefined
      : {
          olderThan: archiveAfter,
          ...(Number.isFinite(openForMs) ? { maxTimeMs: openForMs } : {}),
        },
  ),
  planStep(purgeTrees, ({ purgeAfter }) =>
    purgeAfter === null ? undefined : { olderThan: purgeAfter },
  ),
  planStep(prunePatterns, ({ pruneUsageAfter, prunePatternsAfter }) =>
    pruneUsageAfter === null && prunePatternsAfter === null
      ? undefined
      : {
          usageOlderThan: pruneUsageAfter ?? keepForEver,
          unusedFor: prunePatternsAfter ?? keepForEver,
        },
  ),
  // Archiving analyses its own tables.
  planStep(analyze, () => ({ tables: ['success_patterns', 'pattern_usage_log'] }), {
    follows: true,
  }),
  planStep(
    refreshViews,
    ({ refreshAfter }) => (refreshAfter === null ? undefined : { olderThan: refreshAfter }),
    { atAnyTime: true },
  ),
];

type Plan = { policy: StoredPolicy; openForMs: number; steps: MaintenanceStep[] };

/**
 * Carries out the stored policy once: each step an action of its own, with its guard and its entry in the
 * journal. One at a time in a schema. What is refused is refused before anything is done; a step that
 * fails later is told, and the others go on.
 */
export const maintain: Action<MaintainInput, MaintainResult> = {
  id: 'maintain',
  title: 'Carry out the retention policy',
  requires: ['primary'],
  exclusive: { name: 'maintain', whenTaken: 'refuse' },
  tables: () => [],
  preview,
  run,
};

/** @throws ConsoleError without a policy, or when one of its steps may not run here. */
async function planFor({ database }: ActionContext, { anyTime }: MaintainInput): Promise<Plan> {
  const { schema } = database.capabilities;
  const { policy, openForMs } = await database.transaction({ readOnly: true }, async (tx) => {
    const stored = await readPolicy(tx, schema);
    const open = stored && !anyTime ? await readOpenForMs(tx, stored.window) : Infinity;
    return { policy: stored, openForMs: open };
  });
  if (!policy) throw await noPolicy(database);
  const steps = plans.flatMap((plan) => plan(policy, openForMs) ?? []);
  for (const step of steps) {
    const error = step.follows ? undefined : step.refusal(database);
    if (error) throw error;
  }
  return { policy, openForMs, steps: steps.filter((step) => !step.refusal(database)) };
}

async function noPolicy(database: Database): Promise<ConsoleError> {
  const { schema, user } = database.capabilities;
  const hidden = await database.transaction({ readOnly: true }, (tx) => isPolicyHidden(tx));
  return hidden
    ? hiddenPolicy(user)
    : new ConsoleError('usage', `No retention policy of the schema "${schema}" is stored.`, {
        hint: 'Store one: trace-console maintain policy set --archive-after 90d',
      });
}

async function preview(context: ActionContext, input: MaintainInput): Promise<Preview> {
  const { policy, openForMs, steps } = await planFor(context, input);
  const base = { title: maintain.title, facts: [], sql: [], warnings: [] };
  const own = steps.filter(({ follows }) => !follows);
  if (own.length === 0) return { ...base, nothing: 'The policy asks for nothing.' };
  const now = own.filter(({ atAnyTime }) => atAnyTime || openForMs > 0);
  if (now.length === 0 && policy.window) {
    return { ...base, nothing: `It is outside the policy’s time, ${windowText(policy.window)}.` };
  }
  const previews: Preview[] = [];
  for (const step of now) previews.push(await step.preview(context));
  const due = previews.filter((one) => one.nothing === undefined);
  return {
    title: maintain.title,
    facts: previews.flatMap((one) =>
      one.nothing === undefined
        ? [{ label: one.title, value: '' }, ...one.facts]
        : [{ label: one.title, value: one.nothing }],
    ),
    sql: due.flatMap((one) => one.sql),
    warnings: [...new Set(due.flatMap((one) => one.warnings))],
    ...(due.length === 0 ? { nothing: 'Nothing is due.' } : {}),
  };
}

async function* run(
  context: ActionContext,
  input: MaintainInput,
): AsyncGenerator<Progress, Outcome<MaintainResult>> {
  const { steps, openForMs } = await planFor(context, input);
  const results: StepResult[] = [];
  const inTime = openForMs > 0 ? untilClosed(context.signal, openForMs) : AbortSignal.abort();
  for (const step of steps) {
    const signal = step.atAnyTime ? context.signal : inTime;
    if (signal.aborted) continue;
    if (step.follows && results.every(({ state }) => state !== 'done')) continue;
    results.push(yield* runStep({ ...context, signal }, step));
  }
  // Stored here too, because a database may only be visited by the daily maintenance.
  await keepSizes(context.database).catch(() => false);
  const failed = results.filter(({ state }) => state === 'failed');
  const cancelled = context.signal.aborted;
  const summary = results.map((one) => one.summary).join(' ');
  return {
    summary: summary === '' ? 'Nothing was done.' : summary,
    cancelled,
    result: { ok: failed.length === 0 && !cancelled, steps: results },
  };
}

async function* runStep(
  context: ActionContext,
  step: MaintenanceStep,
): AsyncGenerator<Progress, StepResult> {
  try {
    const due = await step.preview(context);
    if (due.nothing !== undefined) {
      return { action: step.id, state: 'nothing', summary: due.nothing, result: null };
    }
    const { cancelled, summary, result } = yield* step.run(context);
    return { action: step.id, state: cancelled ? 'cancelled' : 'done', summary, result };
  } catch (error) {
    if (losesConnection(error) || !(error instanceof ConsoleError)) throw error;
    const stopped = error.code === 'interrupted';
    const summary = `${step.title} ${stopped ? 'stopped' : 'failed'}: ${error.message}`;
    return { action: step.id, state: stopped ? 'cancelled' : 'failed', summary, result: null };
  }
}

/** One action as a step of the policy, with its input made from the policy. The type of the input stays inside. */
type MaintenanceStep = {
  id: string;
  title: string;
  /** Only of use when a step before it has changed something, and left out where it is refused. */
  follows: boolean;
  /** Also outside the policy's time of day. */
  atAnyTime: boolean;
  refusal: (database: Database) => ConsoleError | undefined;
  preview: (context: ActionContext) => Promise<Preview>;
  run: (context: ActionContext) => AsyncGenerator<Progress, Outcome<unknown>>;
};

/** @param openForMs how long the daily window stays open; Infinity without one */
type PlanStep = (policy: RetentionPolicy, openForMs: number) => MaintenanceStep | undefined;

/** @param inputOf undefined where the policy does not ask for the action */
function planStep<Input>(
  action: Action<Input, unknown>,
  inputOf: (policy: RetentionPolicy, openForMs: number) => Input | undefined,
  { follows = false, atAnyTime = false }: { follows?: boolean; atAnyTime?: boolean } = {},
): PlanStep {
  return (policy, openForMs) => {
    const input = inputOf(policy, openForMs);
    if (input === undefined) return undefined;
    return {
      id: action.id,
      title: action.title,
      follows,
      atAnyTime,
      refusal: (database) => refusal(database, action, input),
      preview: (context) => action.preview(context, input),
      run: (context) => runGuarded(action, context, input),
    };
  };
}
