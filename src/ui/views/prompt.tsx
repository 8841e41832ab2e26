import type { ReactNode } from 'react';
import { safeLine } from '../../terminal/sanitise.js';
import { displayWidth } from '../../terminal/width.js';
import type { Column } from '../../panes/contract/column.js';
import { fieldNamed, filterText } from '../../panes/contract/filter.js';
import { isNameKind } from '../../panes/reading/names.js';
import { inView, terminalCommands } from '../commands/kinds.js';
import type { Command, Context, Filtered, Scope, View } from '../context.js';
import { drawSides, type StyledLine } from '../draw/styled-line.js';
import { isTyped } from '../keymap.js';

/** Longer texts are cut: a paste may have any length. */
const longest = 500;

const lastGrapheme = /(?:\P{M}\p{M}*|.)$/su;

/** The text after a key that edits it; undefined for a key that is none. */
export function edited(text: string, key: string): string | undefined {
  switch (key) {
    case 'space':
      return `${text} `;
    case 'backspace':
      return text.replace(lastGrapheme, '');
    case 'ctrl+w':
      return text.replace(/\S+\s*$/, '');
    case 'ctrl+u':
      return '';
    default:
      return isTyped(key) ? text + key : undefined;
  }
}

/** A line to type into, on the bottom line. */
export abstract class PromptView implements View {
  readonly scope: Scope = promptScope;
  readonly isPrompt = true;
  readonly text: string;

  constructor(text = '') {
    this.text = text;
  }

  /** Before the text: what is typed. */
  abstract readonly sign: string;
  /** The hint beside the text; `:name` becomes the key of that command. */
  abstract readonly help: string;
  /** What is wrong with the text. */
  readonly error: string | undefined = undefined;

  /** The text was changed. */
  protected abstract typed(context: Context, text: string): void;
  /** Enter; the prompt is gone. */
  abstract accept(context: Context): void;
  /** Escape; the prompt is gone. */
  abstract cancel(context: Context): void;
  /** Chooses another of the lines that fit. */
  choose?(context: Context, by: number): void;
  /** Completes the text to the chosen line. */
  complete?(context: Context): void;

  draw?(context: Context): ReactNode;

  drawBottomLine({ model, keys }: Context): StyledLine {
    const { columns } = model.size;
    const text = safeLine(this.text);
    // The end of a long text is what is being typed.
    const room = Math.max(8, columns - 6);
    const shown = displayWidth(text) > room ? `…${lastColumns(text, room)}` : text;
    const hint = this.error ?? keys.inText(this.help);
    return drawSides(
      {
        left: [{ text: ` ${this.sign}${shown}█`, look: 'accent' }],
        right: [{ text: hint, look: this.error === undefined ? 'muted' : 'error' }],
        first: 'left',
      },
      columns,
    );
  }

  takesKey(context: Context, key: string): boolean {
    const text = edited(this.text, key);
    if (text === undefined) return false;
    // Backspace in an empty prompt leaves it, as in an editor.
    if (key === 'backspace' && this.text === '') this.leave(context);
    else this.typed(context, text.slice(0, longest));
    return true;
  }

  takesPaste(context: Context, pasted: string): void {
    this.typed(context, (this.text + pasted.replace(/\s+/g, ' ')).slice(0, longest));
  }

  leave(context: Context): void {
    context.pop();
    this.cancel(context);
  }
}

/** The longest end of a text that fits. */
function lastColumns(text: string, columns: number): string {
  const characters = Array.from(text);
  let room = columns;
  const start = characters.findLastIndex((character) => (room -= displayWidth(character)) < 0);
  return characters.slice(start + 1).join('');
}

/** The rows that are filtered: of the view behind the prompt. */
function filteredBehind(context: Context): Filtered | undefined {
  return context.model.views.findLast(({ isPrompt }) => !isPrompt)?.filtered?.(context);
}

const lastWord = /^(.*?)(!?)(?:([A-Za-z][\w-]*)([:=]))?("?)([^\s"]*)$/s;

/** The text with its last word completed: to a field, or behind a field to a name that the database has. */
function fittingTerms(context: Context, text: string): string[] {
  const [, before = '', not = '', field, operator = '', , word = ''] = lastWord.exec(text) ?? [];
  const wanted = word.toLowerCase();
  const filtered = filteredBehind(context);
  const fields = filtered?.fields ?? [];
  if (field === undefined) {
    return fields
      .map(({ title }) => title)
      .filter((name) => /^[a-z][\w-]*$/i.test(name) && name.toLowerCase().startsWith(wanted))
      .map((name) => `${before}${not}${name}:`);
  }
  const meant = fieldNamed(fields, field);
  if (!meant) return [];
  const named = isNameKind(meant.id) ? context.names.of(meant.id) : [];
  const names = [...new Set([...named, ...(filtered?.values(meant) ?? [])])];
  const known = names.map((name) => ({ name, at: name.toLowerCase().indexOf(wanted) }));
  return known
    .filter(({ at }) => at >= 0)
    .toSorted((a, b) => Math.min(a.at, 1) - Math.min(b.at, 1))
    .map(
      ({ name }) => `${before}${not}${field}${operator}${/[\s"]/.test(name) ? `"${name}"` : name}`,
    );
}

const longestValue = 100;

export const nothingToComplete = 'There is nothing to complete';

/** The texts that rows have in a column, for completion; numbers and times have none that could be completed. */
export function valuesIn(
  rows: readonly object[],
  columns: readonly Pick<Column<object>, 'id' | 'value'>[],
  id: string,
): readonly string[] {
  const column = columns.find((each) => each.id === id);
  if (!column) return [];
  const found = new Set<string>();
  for (const row of rows) {
    const value = column.value(row);
    if (typeof value === 'string' && value !== '' && value.length <= longestValue) found.add(value);
  }
  return [...found];
}

/** Filters the rows of the view behind it while it is typed. */
export class FilterPrompt extends PromptView {
  readonly sign = '/';
  readonly help = `:${completeText.id} completes, Enter keeps it, Esc shows all`;
  override readonly error: string | undefined;
  /** Set after Tab: the text before it was completed, and which of its completions is shown. */
  readonly #completed: { from: string; index: number } | undefined;

  constructor(text: string, error?: string, completed?: { from: string; index: number }) {
    super(text);
    this.error = error;
    this.#completed = completed;
  }

  /** Completes the last word to the first that fits; pressed again, to the next. */
  override complete(context: Context): void {
    const { from, index } = this.#completed ?? { from: this.text, index: -1 };
    const fitting = fittingTerms(context, from);
    const next = (index + 1) % Math.max(1, fitting.length);
    const text = fitting[next];
    if (text === undefined) context.say(nothingToComplete, 'warning');
    else if (text === this.text) context.say('This is the only one that fits', 'warning');
    else this.#show(context, text, { from, index: next });
  }

  protected typed(context: Context, text: string): void {
    this.#show(context, text);
  }

  #show(context: Context, text: string, completed?: { from: string; index: number }): void {
    const filtered = filteredBehind(context);
    const read = filtered && filterText(text, filtered.fields);
    const error = read && 'error' in read ? read.error : undefined;
    // A term that is not complete, or of no column, hides nothing: the rows are those of the terms before it.
    if (read) filtered.show('error' in read ? read.before : read.whole);
    context.replace(this, new FilterPrompt(text, error, completed));
  }

  accept(): void {
    // The rows are filtered already.
  }

  cancel(context: Context): void {
    filteredBehind(context)?.show('');
  }
}

function choosing(by: number) {
  return {
    run: (view: PromptView, context: Context) => view.choose?.(context, by),
    unavailable: (view: PromptView) =>
      view.choose ? undefined : 'There is nothing to choose from',
  };
}

export const completeText: Command = inView(PromptView, {
  id: 'prompt-complete',
  keys: ['tab'],
  title: 'complete to the chosen line',
  bar: 'complete',
  priority: 2,
  run: (view, context) => view.complete?.(context),
  unavailable: (view) => (view.complete ? undefined : nothingToComplete),
});

export const promptScope: Scope = {
  id: 'prompt',
  title: 'While a filter, a search or a command is typed',
  isInHelp: true,
  isTyped: true,
  commands: [
    inView(PromptView, {
      id: 'prompt-accept',
      keys: ['enter'],
      title: 'apply what was typed, or the chosen line',
      bar: 'apply',
      priority: 1,
      run(view, context) {
        context.pop();
        view.accept(context);
      },
      unavailable: ({ error }) => (error === undefined ? undefined : `Not yet: ${error}`),
    }),
    inView(PromptView, {
      id: 'prompt-cancel',
      keys: ['escape', 'ctrl+g'],
      title: 'cancel; a filter or a search is cleared',
      bar: 'cancel',
      priority: 1,
      run: (view, context) => view.leave(context),
    }),
    completeText,
    inView(PromptView, {
      id: 'prompt-up',
      keys: ['up', 'ctrl+p'],
      title: 'the line above',
      ...choosing(-1),
    }),
    inView(PromptView, {
      id: 'prompt-down',
      keys: ['down', 'ctrl+n'],
      title: 'the line below',
      ...choosing(1),
    }),
    ...terminalCommands,
  ],
};
