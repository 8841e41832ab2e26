import { nearestWord } from '../../shared/nearest.js';
import { actionName } from './action-name.js';
import { keyMap, type CommandId, type Scope } from './key-map.js';
import { keyText } from './key-text.js';
import { keptKeys, Keys, type KeyChoices } from './keys.js';
import { maintenanceKeys } from './maintenance-keys.js';
import { placeNames } from './place-name.js';
import { isTyped, readWrittenKey, writtenKeyHint } from './written-key.js';

/** What cannot be used of chosen keys: which action's, why, and what to do. */
export type KeyProblem = { action: string; problem: string; hint: string };

/** The numbers mean panes; the terminal layer takes the others before anything else sees them. */
const fixed: ReadonlySet<CommandId> = new Set([
  ...(['focus', 'choose'] as const),
  ...(['interrupt', 'suspend', 'repaint'] as const),
]);

/** What says yes in a dialog must be another key than the one that opened it: a key held too long does nothing. */
const dialogs: readonly { opened: readonly CommandId[]; does: readonly CommandId[] }[] = [
  { opened: maintenanceKeys.map(({ command }) => command), does: ['confirm'] },
  { opened: ['quit', 'connections'], does: ['quitCancel', 'quitWait', 'quitLeave'] },
  { opened: ['export'], does: ['exportCsv', 'exportJson', 'exportOtlp'] },
];

/** Every action whose keys can be chosen, once. */
export const configurableActions: readonly CommandId[] = [
  ...new Set(keyMap.map(({ command }) => command)),
].filter((command) => !fixed.has(command));

/**
 * The keys that a person chose: action to keys, both as written.
 *
 * @returns the choices, or the first thing that is wrong with them
 */
export function readKeyChoices(
  written: Readonly<Record<string, readonly string[]>>,
): { choices: KeyChoices } | KeyProblem {
  const choices = new Map<CommandId, string[]>();
  for (const [action, keys] of Object.entries(written)) {
    const command = configurableActions.find((id) => actionName(id) === action);
    if (command === undefined) return unknownAction(action);
    const chosen: string[] = [];
    for (const text of keys) {
      const read = readWrittenKey(text);
      if ('problem' in read) {
        return { action, problem: `cannot be used: ${read.problem}`, hint: writtenKeyHint };
      }
      const problem = whyNotFor(command, read.key);
      if (problem !== undefined) return { action, ...problem };
      chosen.push(read.key);
    }
    choices.set(command, chosen);
  }
  const problem = conflictIn(choices) ?? hastyIn(choices);
  return problem ?? { choices };
}

function unknownAction(action: string): KeyProblem {
  const isFixed = [...fixed].some((id) => actionName(id) === action);
  const nearest = nearestWord(action, configurableActions.map(actionName));
  const meant = nearest === undefined ? '' : `Did you mean ${nearest}? `;
  return {
    action,
    problem: isFixed ? 'cannot have other keys' : 'is no action',
    hint: `${meant}trace-console keys lists the actions.`,
  };
}

function whyNotFor(command: CommandId, key: string): Omit<KeyProblem, 'action'> | undefined {
  if (keptKeys.includes(key)) {
    return {
      problem: `cannot be ${keyText(key)}`,
      hint: 'Enter and Esc keep what they mean everywhere: Enter opens or cancels, Esc leads back.',
    };
  }
  const inPrompt = keyMap.some(
    (binding) => binding.command === command && binding.scopes.includes('prompt'),
  );
  return inPrompt && isTyped(key)
    ? { problem: `cannot be ${keyText(key)}, which is typed there`, hint: writtenKeyHint }
    : undefined;
}

/** Two actions on one key in one place. */
function conflictIn(choices: KeyChoices): KeyProblem | undefined {
  const keys = new Keys(choices);
  for (const scope of Object.keys(placeNames) as Scope[]) {
    const taken = new Map<string, CommandId>();
    for (const { command, keys: bound } of keys.in(scope)) {
      for (const key of bound) {
        const other = taken.get(key);
        if (other !== undefined && other !== command) {
          const [chosen, kept] = choices.has(command) ? [command, other] : [other, command];
          return {
            action: actionName(chosen),
            problem: `and ${actionName(kept)} are both ${keyText(key)}: ${lowerFirst(placeNames[scope])}`,
            hint: fixed.has(kept)
              ? `${keyText(key)} cannot be taken from it; choose another.`
              : `Choose another, or give ${actionName(kept)} other keys, too.`,
          };
        }
        taken.set(key, command);
      }
    }
  }
  return undefined;
}

/** A key that would open a dialog and at once do what it asks about. */
function hastyIn(choices: KeyChoices): KeyProblem | undefined {
  const keys = new Keys(choices);
  const of = (command: CommandId) =>
    keys.bindings.filter((binding) => binding.command === command).flatMap((each) => each.keys);
  for (const { opened, does } of dialogs) {
    for (const opener of opened) {
      for (const doer of does) {
        const both = of(doer).find((key) => of(opener).includes(key));
        if (both === undefined) continue;
        const chosen = choices.has(opener) ? opener : doer;
        return {
          action: actionName(chosen),
          problem: `cannot be ${keyText(both)}: ${actionName(opener)} would open a question and ${actionName(doer)} answer it with the same key`,
          hint: 'Choose two keys.',
        };
      }
    }
  }
  return undefined;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
