import { nearestWord } from '../../core/nearest.js';
import { parseFilter } from '../../panes/contract/filter.js';
import { paneKey, panes, type AnyPane } from '../../panes/registry.js';
import { safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit } from '../../terminal/width.js';
import { needsLive } from '../commands/kinds.js';
import type { ColonCommand, Command, Context, Scope } from '../context.js';
import { writer } from '../draw/box.js';
import { styled, type StyledLine } from '../draw/styled-line.js';
import { keyText } from '../keymap.js';
import { scrollTop } from '../model/list-state.js';
import { freshPaneView } from '../model/pane-view.js';
import { Dialog, innerDialog } from '../screen/boxes.js';
import { strings } from '../strings.js';
import { completeText, nothingToComplete, PromptView } from './prompt.js';

const mostLines = 14;

/** Every command, pane and setting by name: what is typed, and the lines that fit it above it. */
export class PalettePrompt extends PromptView {
  readonly sign = ':';
  readonly help = `:${completeText.id} completes, Enter does it, Esc leaves`;
  /** The chosen one of the lines that fit. */
  readonly index: number;

  constructor(text = '', index = 0) {
    super(text);
    this.index = index;
  }

  override draw(context: Context) {
    const { size } = context.model;
    const { width, height } = innerDialog(size);
    const choices = completions(context, this.text);
    const lines = Math.min(mostLines, Math.max(1, height));
    const body =
      choices.length > 0
        ? choiceLines(choices, this.index, { width, height: lines })
        : writer(width)(noSuchCommand(context, this.text), 'warning').slice(0, lines);
    const title = choices.length > 0 ? `Commands, ${choices.length}` : 'No such command';
    return <Dialog title={title} body={body} size={size} at="bottom" />;
  }

  protected typed(context: Context, text: string): void {
    context.replace(this, new PalettePrompt(text));
  }

  accept(context: Context): void {
    if (this.text.trim() === '') return;
    const chosen = completions(context, this.text)[this.index];
    if (chosen) chosen.run(context);
    else context.say(noSuchCommand(context, this.text), 'warning');
  }

  cancel(): void {
    // Nothing was done yet.
  }

  override choose(context: Context, by: number): void {
    const last = Math.max(0, completions(context, this.text).length - 1);
    const index = Math.min(Math.max(this.index + by, 0), last);
    if (index === this.index) context.say(by < 0 ? strings.firstRow : strings.lastRow);
    else context.replace(this, new PalettePrompt(this.text, index));
  }

  override complete(context: Context): void {
    const choices = completions(context, this.text);
    const chosen = choices[this.index];
    // A text that is complete already goes on to the next name that fits.
    const isTyped = chosen?.completed.trim() === this.text.trim();
    const next = isTyped ? (choices[this.index + 1] ?? chosen) : chosen;
    if (!next) context.say(nothingToComplete, 'warning');
    else if (next.completed === this.text) context.say('This is the only one that fits', 'warning');
    else context.replace(this, new PalettePrompt(next.completed));
  }
}

export const palette: Command = {
  id: 'command-line',
  keys: [':'],
  title: 'every command, pane and setting by name',
  bar: 'command',
  priority: 3,
  run: (context) => context.push(new PalettePrompt()),
  unavailable: needsLive,
};

/** In a dialog over the panes, which makes way: what is typed is done where it was opened. */
export const paletteBehind: Command = {
  ...palette,
  run(context) {
    context.pop();
    palette.run(context, ':');
  },
};

/** One line that can be chosen. */
export type Completion = {
  /** What is typed for it. */
  text: string;
  /** What it does. */
  title: string;
  /** What Tab makes of the line. */
  completed: string;
  run(context: Context): void;
};

/**
 * Every pane, every colon command with its values, and every command of the keys that fits the text; the
 * best first. In what Enter has opened the keys are those of that.
 */
export function completions(context: Context, typed: string): readonly Completion[] {
  const text = typed.trimStart();
  const word = text.split(/\s/, 1)[0] ?? '';
  const colon = context.colonCommands.find(
    ({ name }) => name === word && text.length > word.length,
  );
  const pane = panes.find(({ id }) => id === word && text.length > word.length);
  if (pane && !colon) return behindPane(context, pane, text);
  if (colon?.argument !== undefined) return withArgument(context, colon, colon.argument, text);
  if (colon) return matchingValues(context, colon, text.trim());
  return matching(everything(context), text.trim());
}

/**
 * A pane with one of its groups, selections or orders behind its name: `usage agent`; anything else is a filter. What was
 * chosen in it before would change the answer: it begins anew.
 */
function behindPane(context: Context, pane: AnyPane, text: string): readonly Completion[] {
  const typed = text.slice(pane.id.length).trim();
  const chosen = context.colonCommands.flatMap((command) =>
    (command.choices?.(pane) ?? []).map(({ id, title }): Completion => {
      const whole = `${pane.id} ${id}`;
      return {
        text: whole,
        title: `${pane.title}: ${command.name} ${title}`,
        completed: whole,
        run(to) {
          to.focus.goTo(pane.id);
          to.focus.change(freshPaneView);
          command.run(to, id);
        },
      };
    }),
  );
  // An order may have the name of a group: the first of a name is meant.
  const known = chosen.filter(
    (each, at) => chosen.findIndex((one) => one.text === each.text) === at,
  );
  const exact = known.find((each) => each.text === `${pane.id} ${typed}`);
  const begun = known.filter(
    (each) => each !== exact && each.text.startsWith(`${pane.id} ${typed}`),
  );
  return [...(exact ? [exact] : []), filteredPane(pane, typed, text), ...begun];
}

/** A pane with a filter behind its name: `errors last<5m`. */
function filteredPane(pane: AnyPane, filter: string, text: string): Completion {
  return {
    text: `${pane.id} ${filter || 'FILTER'}`,
    title: `${pane.title}: only these rows`,
    completed: text,
    run(to) {
      const parsed = parseFilter(filter, pane);
      if ('error' in parsed) {
        to.say(parsed.error, 'warning');
        return;
      }
      to.focus.goTo(pane.id);
      to.focus.filter(filter);
      if (pane.isTail) to.focus.change({ follow: true });
    },
  };
}

/** The values of a colon command that have the typed text in them, or in what they mean. */
function matchingValues(context: Context, command: ColonCommand, text: string): Completion[] {
  const typed = text.slice(command.name.length).trim().toLowerCase();
  const has = (found: string) => found.toLowerCase().includes(typed);
  const values = valuesOf(context, command);
  const fitting = values.filter(
    (each) => has(each.text.slice(command.name.length)) || (typed.length >= 3 && has(each.title)),
  );
  return matching(fitting, text);
}

/**
 * The completions of a colon command with an argument. Where its values are all there is, a part of one is enough; else
 * what was typed comes first, so that Enter never does something similar instead.
 */
function withArgument(
  context: Context,
  command: ColonCommand,
  what: string,
  text: string,
): readonly Completion[] {
  const { name, title } = command;
  const argument = text.slice(name.length).trim();
  const known = matching(valuesOf(context, command), text.trim());
  if (known.length > 0 && argument !== '' && command.takesAnyText !== true) return known;
  const run = (to: Context) => command.run(to, argument);
  const names = matching(namesOf(context, command), text.trim());
  const asTyped = { text: `${name} ${argument || what}`, title, completed: text, run };
  return [asTyped, ...[...known, ...names].filter((each) => each.text !== asTyped.text)];
}

function matching(all: readonly Completion[], text: string): Completion[] {
  return all
    .map((each) => ({ each, score: fuzzyScore(text, each.text, each.title) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ each }) => each);
}

/** Everything that can be typed where the palette was opened. */
function everything(context: Context): Completion[] {
  const { keys, model, colonCommands } = context;
  const behind = model.views.findLast(({ isPrompt }) => !isPrompt);
  const isOpened = behind?.openedBy !== undefined;
  const isHere = (needsDatabase = false) => !(needsDatabase && context.player);
  return [
    ...panes.map(({ id, title, question }) => {
      const key = paneKey(id);
      const says = `${key === undefined ? '' : `${key}  `}${title}: ${question}`;
      return { text: id, title: says, completed: id, run: (to: Context) => to.focus.goTo(id) };
    }),
    ...colonCommands
      .filter(({ ofPane, needsDatabase }) => (!isOpened || !ofPane) && isHere(needsDatabase))
      .filter(({ isUnlisted }) => isUnlisted !== true)
      .flatMap((command) => [...valuesOf(context, command), ...argumentOf(command)]),
    ...(behind ? keyCommands(keys, behind.scope, isHere) : []),
  ];
}

/** One line for what is typed freely. */
function argumentOf(command: ColonCommand): Completion[] {
  const { name, argument, title } = command;
  if (argument === undefined || command.values) return [];
  const run = (to: Context) => to.say(`${name} needs ${argument}: ${title}`, 'warning');
  return [{ text: `${name} ${argument}`, title, completed: `${name} `, run }];
}

/** One line for each value that is known. */
function valuesOf(context: Context, command: ColonCommand): Completion[] {
  return (command.values?.(context) ?? []).map((value) => {
    const text = `${command.name} ${value}`.trimEnd();
    const title = command.valueTitle?.(context, value) ?? command.title;
    return { text, title, completed: text, run: (to: Context) => command.run(to, value) };
  });
}

/** One line for each name that the database has. */
function namesOf(context: Context, command: ColonCommand): Completion[] {
  return (command.names ?? []).flatMap((kind) =>
    context.names.of(kind).map((name) => {
      const text = `${command.name} ${name}`;
      return { text, title: kind, completed: text, run: (to: Context) => command.run(to, name) };
    }),
  );
}

/** The commands of keys, by name. Without the number keys: panes have lines of their own. */
function keyCommands(
  keys: Context['keys'],
  scope: Scope,
  isHere: (needsDatabase?: boolean) => boolean,
): Completion[] {
  return keys
    .in(scope)
    .filter(({ keys: own, id }) => !own.includes('1') && id !== palette.id)
    .filter(({ needsDatabase }) => isHere(needsDatabase))
    .map((command) => {
      const [key = ''] = command.keys;
      const shown = key === '' ? '' : `${keyText(key)}  `;
      const title = `${shown}${keys.inText(command.title)}`;
      const run = (context: Context) => context.run(command, key);
      return { text: command.id, title, completed: command.id, run };
    });
}

/** That what was typed is no command, and which one may have been meant. */
export function noSuchCommand(context: Context, typed: string): string {
  const text = typed.trim();
  const [word = ''] = text.split(/\s/);
  const colon = context.colonCommands.find(({ name }) => name === word && text !== word);
  if (colon?.noun !== undefined) return unknownValue(context, colon, colon.noun, text);
  const names = everything(context).map((each) => each.text);
  const nearest = nearestWord(text, names) ?? nearestWord(word, names.map(firstWord));
  return nearest === undefined
    ? `There is no command "${text}"; ${context.keys.keyOf(palette.id)} lists them all`
    : `There is no command "${text}"; did you mean ${nearest}?`;
}

/** That there is no such order, group or pane, the one that may have been meant, and which there are. */
function unknownValue(context: Context, command: ColonCommand, noun: string, text: string): string {
  const typed = text.slice(command.name.length).trim();
  const known = command.values?.(context) ?? [];
  const place = command.ofPane ? `${context.focus.pane.title} has` : 'There is';
  const [only] = known;
  if (only === undefined) return `${place} no ${noun}s to choose from`;
  const nearest = nearestWord(typed, known);
  const meant = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
  return `${place} no ${noun} "${typed}".${meant} There ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}`;
}

function firstWord(text: string): string {
  return text.split(' ')[0] ?? '';
}

type Size = { width: number; height: number };

/** The lines that fit what is typed, each with what it does; the chosen one marked. */
function choiceLines(choices: readonly Completion[], index: number, size: Size): StyledLine[] {
  const { width, height } = size;
  const longest = Math.max(0, ...choices.map(({ text }) => displayWidth(text)));
  const names = Math.min(longest, Math.floor(width / 2)) + 2;
  const room = Math.max(0, width - names);
  const top = scrollTop(0, index, height, choices.length);
  return choices.slice(top, top + height).map(({ text, title }, line) => {
    const name = fit(safeLine(text), names);
    const rest = fit(safeLine(title), room);
    return top + line === index
      ? styled(name + rest, 'selected')
      : [{ text: name }, { text: rest, look: 'muted' }];
  });
}

/**
 * How well a typed text fits a name, 0 when it does not: the beginning of the name is best, then the beginning of a word
 * of it, then anywhere in it, then its letters in order, then the beginning of a word of what it says.
 */
export function fuzzyScore(typed: string, name: string, title: string): number {
  const wanted = typed.toLowerCase();
  const known = name.toLowerCase();
  if (wanted === '') return 1;
  if (known === wanted) return 100;
  // Of two names with the same beginning the shorter is nearer.
  const nearness = wanted.length / known.length;
  if (known.startsWith(wanted)) return 80 + nearness;
  if (startsWord(known, wanted)) return 60 + nearness;
  if (known.includes(wanted)) return 40 + nearness;
  if (hasInOrder(known, wanted)) return 20 + nearness;
  return wanted.length >= 3 && startsWord(title.toLowerCase(), wanted) ? 10 : 0;
}

function startsWord(text: string, wanted: string): boolean {
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    if (at === 0 || !/[\p{L}\p{N}]/u.test(text.charAt(at - 1))) return true;
  }
  return false;
}

function hasInOrder(text: string, wanted: string): boolean {
  let at = 0;
  for (const letter of wanted) {
    at = text.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
