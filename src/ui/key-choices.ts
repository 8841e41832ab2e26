import { nearestWord } from '../core/nearest.js';
import {
  isTyped,
  keyText,
  readWrittenKey,
  writtenKeyHint,
  keptKeys,
  Keymap,
  type Binding,
  type KeyChoices,
  type KeyScope,
} from './keymap.js';

/** What cannot be used of chosen keys: which command's, why, and what to do. */
export type KeyProblem = { action: string; problem: string; hint: string };

type Scopes = readonly KeyScope[];

/** The name of every command whose keys can be chosen, once. */
export function configurableCommands(scopes: Scopes): readonly string[] {
  const all = commandsOf(scopes);
  const isFixed = (id: string) => all.some((command) => command.id === id && command.isFixed);
  return [...new Set(all.map(({ id }) => id))].filter((id) => !isFixed(id));
}

/**
 * The keys that a person chose: command to keys, both as written.
 *
 * @returns the choices, or the first thing that is wrong with them
 */
export function readKeyChoices(
  scopes: Scopes,
  written: Readonly<Record<string, readonly string[]>>,
): { choices: KeyChoices } | KeyProblem {
  const known = configurableCommands(scopes);
  const choices = new Map<string, string[]>();
  for (const [action, keys] of Object.entries(written)) {
    if (!known.includes(action)) return unknownCommand(scopes, known, action);
    const chosen: string[] = [];
    for (const text of keys) {
      const read = readWrittenKey(text);
      if ('problem' in read) {
        return { action, problem: `cannot be used: ${read.problem}`, hint: writtenKeyHint };
      }
      const problem = whyNotFor(scopes, action, read.key);
      if (problem !== undefined) return { action, ...problem };
      chosen.push(read.key);
    }
    choices.set(action, chosen);
  }
  return conflictIn(scopes, choices) ?? answersOwnKeyIn(scopes, choices) ?? { choices };
}

function commandsOf(scopes: Scopes): readonly Binding[] {
  return scopes.flatMap(({ commands }) => commands);
}

function unknownCommand(scopes: Scopes, known: readonly string[], action: string): KeyProblem {
  const isFixed = commandsOf(scopes).some(({ id }) => id === action);
  const nearest = nearestWord(action, known);
  const meant = nearest === undefined ? '' : `Did you mean ${nearest}? `;
  return {
    action,
    problem: isFixed ? 'cannot have other keys' : 'is no action',
    hint: `${meant}trace-console keys lists the actions.`,
  };
}

function whyNotFor(
  scopes: Scopes,
  command: string,
  key: string,
): Omit<KeyProblem, 'action'> | undefined {
  if (keptKeys.includes(key)) {
    return {
      problem: `cannot be ${keyText(key)}`,
      hint: 'Enter and Esc keep what they mean everywhere: Enter opens or cancels, Esc leads back.',
    };
  }
  const isInPrompt = scopes.some(
    ({ isTyped: takesText, commands }) => takesText && commands.some((each) => each.id === command),
  );
  return isInPrompt && isTyped(key)
    ? { problem: `cannot be ${keyText(key)}, which is typed there`, hint: writtenKeyHint }
    : undefined;
}

/** Two commands on one key in one scope. */
function conflictIn(scopes: Scopes, choices: KeyChoices): KeyProblem | undefined {
  for (const { title, commands } of new Keymap(scopes, choices).scopes) {
    const taken = new Map<string, Binding>();
    for (const command of commands) {
      for (const key of command.keys) {
        const other = taken.get(key);
        if (other !== undefined && other.id !== command.id) {
          const [chosen, kept] = choices.has(command.id) ? [command, other] : [other, command];
          return {
            action: chosen.id,
            problem: `and ${kept.id} are both ${keyText(key)}: ${lowerFirst(title)}`,
            hint: kept.isFixed
              ? `${keyText(key)} cannot be taken from it; choose another.`
              : `Choose another, or give ${kept.id} other keys, too.`,
          };
        }
        taken.set(key, command);
      }
    }
  }
  return undefined;
}

/** A key that would open a question and, held too long, answer it with yes. */
function answersOwnKeyIn(scopes: Scopes, choices: KeyChoices): KeyProblem | undefined {
  const keys = new Keymap(scopes, choices);
  for (const opener of keys.bindings) {
    if (opener.asks === undefined) continue;
    for (const answer of keys.in({ id: opener.asks })) {
      const both = answer.accepts && answer.keys.find((key) => opener.keys.includes(key));
      if (both === undefined) continue;
      return {
        action: choices.has(opener.id) ? opener.id : answer.id,
        problem: `cannot be ${keyText(both)}: ${opener.id} would open a question and ${answer.id} answer it with the same key`,
        hint: 'Choose two keys.',
      };
    }
  }
  return undefined;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
