import type { Action, ActionContext, Progress } from './action.js';
import { refusal } from './guard.js';
import { journaled, type RunOutcome } from './journal/journaled.js';

/**
 * Runs an action past the guard and into the journal: what the registry does, and an action that is made
 * of others.
 *
 * @throws ConsoleError when the action may not run here, or fails.
 */
export async function* runGuarded<Input, Result>(
  action: Action<Input, Result>,
  context: ActionContext,
  input: Input,
): AsyncGenerator<Progress, RunOutcome<Result>> {
  const error = refusal(context.database, action, input);
  if (error) throw error;
  return yield* journaled(action, context, input);
}
