import { didYouMean } from '../core/nearest.js';

/** The keys of a command, and what the screen says of it. */
export type Binding = {
  /** Its name behind `:` and in the config's `[keys]`, as `focus-next`. */
  readonly id: string;
  readonly keys: readonly string[];
  /** What it does, for help. `:name` in it becomes the key of that command. */
  readonly title: string;
  /** On the key bar: a word or two. Absent: help only. */
  readonly bar?: string;
  /** On the key bar as so many of its keys (default 1), or as this text. */
  readonly barKeys?: number | string;
  /** On the key bar together with the key of this command. */
  readonly barWith?: string;
  /** 1 stays longest on a narrow key bar. */
  readonly priority?: number;
  /** The keys of the command that opened the view close it, too. */
  readonly closes?: string;
  /** Its keys cannot be chosen: they mean a number, or belong to the terminal. */
  readonly isFixed?: true;
  /** The scope of the question it may open, which must not be answered by the same key. */
  readonly asks?: string;
  /** Answers the question of its scope with yes. */
  readonly accepts?: true;
  /** It asks the database, or changes it: a recording has none. */
  readonly needsDatabase?: true;
  /** It ends the console: the one command that works where the screen is too small to show anything. */
  readonly quits?: true;
};

/** Which keys work while a view is focused. */
export type KeyScope<Command extends Binding = Binding> = {
  readonly id: string;
  /** As help heads it: `In a trace`. */
  readonly title: string;
  /** Help lists its keys; dialogs name their own. */
  readonly isInHelp?: true;
  /** Nothing of it is there in a recording. */
  readonly needsDatabase?: true;
  /** Keys are text there, but for those with a name of their own. */
  readonly isTyped?: true;
  readonly commands: readonly Command[];
};

/** The keys that somebody chose for commands; none: the command is reached by its name. */
export type KeyChoices = ReadonlyMap<string, readonly string[]>;

/** These keys cannot be given to other commands: so every view can be left, and Enter alone confirms nothing. */
const keptKeys: readonly string[] = ['enter', 'escape'];

/** The keys as they are now: those of the commands, or those chosen instead. */
export class Keymap<Command extends Binding = Binding> {
  readonly scopes: readonly KeyScope<Command>[];
  /** Every command once, in the order of the scopes. */
  readonly bindings: readonly Command[];

  /** Adds the flags of the shown database to each command of the shell in a text. */
  readonly inShell: (text: string) => string;

  constructor(
    scopes: readonly KeyScope<Command>[],
    choices: KeyChoices = new Map(),
    inShell: (text: string) => string = (text) => text,
  ) {
    this.inShell = inShell;
    const all = [...new Set(scopes.flatMap(({ commands }) => commands))];
    const firstKeys = (id: string) =>
      choices.get(id) ?? all.find((command) => command.id === id)?.keys ?? [];
    const bound = new Map(
      all.map((command) => {
        const own = chosenKeys(command.keys, choices.get(command.id));
        const opening = command.closes === undefined ? [] : firstKeys(command.closes);
        return [command, { ...command, keys: [...new Set([...own, ...opening])] }];
      }),
    );
    this.bindings = [...bound.values()];
    this.scopes = scopes.map((scope) => ({
      ...scope,
      commands: scope.commands.flatMap((command) => bound.get(command) ?? []),
    }));
  }

  /** What works in a scope. */
  in({ id }: { id: string }): readonly Command[] {
    return this.scopes.find((scope) => scope.id === id)?.commands ?? [];
  }

  /** The command of a key where it is pressed. */
  commandOf(scope: { id: string }, key: string): Command | undefined {
    return this.in(scope).find(({ keys }) => keys.includes(key));
  }

  /** The first key of a command as a person reads it; `:name` where it has none. */
  keyOf(id: string): string {
    const key = this.#first(id);
    return key === undefined ? `:${id}` : keyText(key);
  }

  /** Every key of a command in a scope: `Esc or c`. */
  keysIn(scope: { id: string }, id: string): string {
    const command = this.in(scope).find((each) => each.id === id);
    return command?.keys.map(keyText).join(' or ') ?? '';
  }

  /** What the key bar says of a command's keys: `q`, `+ -`, `↑↓`. */
  barKeys({ keys, barKeys, barWith }: Binding): string {
    if (typeof barKeys === 'string') return barKeys;
    const [first, ...others] = keys.slice(0, barKeys ?? 1);
    const shown = [first, ...others, barWith === undefined ? undefined : this.#first(barWith)]
      .filter((key) => key !== undefined)
      .map(shortKeyText);
    return shown.join(shown.every((text) => /^[↑↓]$/.test(text)) ? '' : ' ');
  }

  /**
   * A text that names commands as `:window`: with their keys, and those of the shell with the flags of the database. What
   * has no key stays as it is.
   */
  inText(text: string): string {
    return this.inShell(text).replace(
      /(?<![\w:]):([a-z]+(?:-[a-z]+)*)/g,
      (written, name: string) =>
        this.bindings.some(({ id }) => id === name) ? this.keyOf(name) : written,
    );
  }

  #first(id: string): string | undefined {
    return this.bindings.find((command) => command.id === id)?.keys[0];
  }
}

/** All keys of a command; what has none is reached by its name. */
export function keysText({ id, keys }: Binding): string {
  const digits = keys.length > 1 && keys.every((key) => /^\d$/.test(key));
  if (digits) return `${keys[0] ?? ''}–${keys.at(-1) ?? ''}`;
  return keys.length === 0 ? `:${id}` : keys.map(keyText).join(' ');
}

function chosenKeys(
  keys: readonly string[],
  chosen: readonly string[] | undefined,
): readonly string[] {
  return chosen ? [...keys.filter((key) => keptKeys.includes(key)), ...chosen] : keys;
}

/** Keys whose name is no text for a person. */
const keyTexts = new Map(
  Object.entries({
    up: '↑',
    down: '↓',
    left: '←',
    right: '→',
    pageUp: 'PgUp',
    pageDown: 'PgDn',
    home: 'Home',
    end: 'End',
    enter: 'Enter',
    escape: 'Esc',
    space: 'Space',
    tab: 'Tab',
    backspace: 'Backspace',
    'shift+tab': 'Shift-Tab',
  }),
);

/** A key as a person reads it: `Ctrl-R`, `PgDn`, `?`. */
export function keyText(key: string): string {
  const named = keyTexts.get(key);
  if (named !== undefined) return named;
  if (key.startsWith('alt+')) return `Alt-${key.slice(4)}`;
  return key.startsWith('ctrl+') ? `Ctrl-${key.slice(5).toUpperCase()}` : key;
}

/** As {@link keyText}, where there is little room: `^R`. */
function shortKeyText(key: string): string {
  return key.startsWith('ctrl+') ? `^${key.slice(5).toUpperCase()}` : keyText(key);
}

/** Names of keys as people write them, without case and dashes. */
const names = new Map(
  Object.entries({
    space: 'space',
    tab: 'tab',
    shifttab: 'shift+tab',
    enter: 'enter',
    return: 'enter',
    esc: 'escape',
    escape: 'escape',
    up: 'up',
    down: 'down',
    left: 'left',
    right: 'right',
    pgup: 'pageUp',
    pageup: 'pageUp',
    pgdn: 'pageDown',
    pagedown: 'pageDown',
    home: 'home',
    end: 'end',
    backspace: 'backspace',
  }),
);

/** What a terminal cannot tell from another key, or keeps for itself. */
const controlsTaken = new Map(
  Object.entries({
    c: 'always quits',
    z: 'always leads to the shell',
    l: 'always draws the screen anew',
    h: 'is Backspace to a terminal',
    i: 'is Tab to a terminal',
    j: 'is Enter to a terminal',
    m: 'is Enter to a terminal',
  }),
);

const writtenKeyHint =
  'A key is a character (x, X, ?), Ctrl-X, Alt-x, Space, Tab, Shift-Tab, Backspace, Up, Down, Left, Right, PgUp, PgDn, Home or End.';

/** The key that a person means by `x`, `ctrl-x`, `Alt-x`, `PgUp`: its name in the key map, or what is wrong with it. */
function readWrittenKey(written: string): { key: string } | { problem: string } {
  if (/^[!-~]$/.test(written)) return { key: written };
  const named = names.get(written.toLowerCase().replaceAll(/[-+_ ]/g, ''));
  if (named !== undefined) return { key: named };
  const control = /^(?:ctrl[-+]|\^)([a-z])$/i.exec(written)?.[1]?.toLowerCase();
  if (control !== undefined) {
    const taken = controlsTaken.get(control);
    return taken === undefined
      ? { key: `ctrl+${control}` }
      : { problem: `Ctrl-${control.toUpperCase()} ${taken}` };
  }
  const alt = /^alt[-+]([a-z0-9])$/i.exec(written)?.[1];
  if (alt !== undefined) return { key: `alt+${alt}` };
  // A letter of another alphabet is one character, whatever its marks.
  if (/^\p{L}\p{M}*$/u.test(written)) return { key: written };
  return { problem: `"${written}" is no key` };
}

/** Whether a key writes something where a text is typed, or edits it. */
export function isTyped(key: string): boolean {
  const named = /^(?:ctrl|alt|shift)\+|^[a-z]{2}/i.test(key);
  return !named || ['space', 'backspace', 'ctrl+w', 'ctrl+u'].includes(key);
}

/** Why a chosen key cannot be used: the command, the reason, and what to do. */
type KeyProblem = { action: string; problem: string; hint: string };

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
  const meant = didYouMean(action, known);
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
