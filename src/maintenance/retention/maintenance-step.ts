import type { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import type { Action, ActionContext, Outcome, Preview, Progress } from '../action.js';
import { refusal } from '../guard.js';
import { runGuarded } from '../run-guarded.js';
import type { RetentionPolicy } from './policy.js';

/** One action as a step of the policy: its input comes from the policy, and nobody else need know it. */
export type MaintenanceStep = {
  id: string;
  title: string;
  /** Only of use when a step before it has changed something, and left out where it is refused. */
  follows: boolean;
  refusal: (database: Database) => ConsoleError | undefined;
  preview: (context: ActionContext) => Promise<Preview>;
  run: (context: ActionContext) => AsyncGenerator<Progress, Outcome<unknown>>;
};

/** @param openForMs how long the daily window stays open; Infinity without one */
export type PlanStep = (policy: RetentionPolicy, openForMs: number) => MaintenanceStep | undefined;

/** @param inputOf undefined where the policy does not ask for the action */
export function planStep<Input>(
  action: Action<Input, unknown>,
  inputOf: (policy: RetentionPolicy, openForMs: number) => Input | undefined,
  { follows = false }: { follows?: boolean } = {},
): PlanStep {
  return (policy, openForMs) => {
    const input = inputOf(policy, openForMs);
    if (input === undefined) return undefined;
    return {
      id: action.id,
      title: action.title,
      follows,
      refusal: (database) => refusal(database, action, input),
      preview: (context) => action.preview(context, input),
      run: (context) => runGuarded(action, context, input),
    };
  };
}
