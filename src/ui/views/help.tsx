import { useMemo } from 'react';
import { namedCommands } from '../../panes/contract/pane.js';
import { paneKey, panes } from '../../panes/registry.js';
import { wrapText } from '../../terminal/width.js';
import { closing, terminalCommands } from '../commands/kinds.js';
import { moves } from '../commands/rows.js';
import type { ColonCommand, Command, Context, Scope, View } from '../context.js';
import { blank, cell, type StyledLine } from '../draw/styled-line.js';
import { type Keymap, keysText } from '../keymap.js';
import { moved, type Movement } from '../model/list-state.js';
import { innerBody, TextBox } from '../screen/boxes.js';
import { paletteBehind } from './palette.js';

/** Every key there is, those of the view that it was opened in first, and what each pane answers. */
export class HelpView implements View {
  readonly scope: Scope = helpScope;
  readonly covers = true;
  /** Of the view that it was opened in: its keys come first. */
  readonly from: Scope;
  readonly top: number;

  constructor(from: Scope, top = 0) {
    this.from = from;
    this.top = top;
  }

  draw(context: Context) {
    return <HelpScreen view={this} context={context} />;
  }

  move(context: Context, by: Movement): void {
    const { width, height } = innerBody(context.model.size);
    const { keys, colonCommands, player } = context;
    const isRecording = player !== undefined;
    const length = helpLines(keys, width, { from: this.from, colonCommands, isRecording }).length;
    const count = Math.max(1, length - height + 1);
    const top = moved(Math.min(this.top, count - 1), by, count, height);
    if (top !== this.top) context.replace(this, new HelpView(this.from, top));
  }
}

function HelpScreen({ view, context }: { view: HelpView; context: Context }) {
  const { keys, model, colonCommands, player } = context;
  const { width } = innerBody(model.size);
  const { from } = view;
  const isRecording = player !== undefined;
  const lines = useMemo(
    () => helpLines(keys, width, { from, colonCommands, isRecording }),
    [keys, width, from, colonCommands, isRecording],
  );
  return <TextBox title="Keys" lines={lines} top={view.top} size={model.size} />;
}

const keyColumn = 16;

type HelpOptions = {
  /** Of the view whose keys come first. */
  from?: Scope;
  /** What is typed behind `:`. */
  colonCommands?: readonly ColonCommand[];
  /** Without what a recording cannot do. */
  isRecording?: boolean;
};

/** A key that works in several scopes is listed once. */
export function helpLines(
  keys: Keymap,
  width: number,
  { from, colonCommands = [], isRecording = false }: HelpOptions = {},
): StyledLine[] {
  const isHere = ({ needsDatabase }: { needsDatabase?: true }) => !(isRecording && needsDatabase);
  const isFirst = ({ id }: { id: string }) => id === from?.id;
  const shown = [
    ...keys.scopes.filter(isFirst),
    ...keys.scopes.filter((scope) => scope.isInHelp && !isFirst(scope)),
  ];
  const lines: StyledLine[] = [];
  const seen = new Set<object>();
  const add = (key: string, text: string) => {
    const room = Math.max(10, width - keyColumn);
    for (const [index, line] of wrapText(text, room).entries()) {
      lines.push([cell(index === 0 ? key : '', keyColumn, 'key'), cell(line, width - keyColumn)]);
    }
  };
  const heading = (text: string) => {
    if (lines.length > 0) lines.push([blank(width)]);
    lines.push([cell(text, width, 'title')]);
  };
  for (const { title, commands } of shown.filter(isHere)) {
    heading(title);
    for (const command of commands.filter((each) => !seen.has(each) && isHere(each))) {
      seen.add(command);
      add(keysText(command), keys.inText(command.title));
    }
  }
  const typed = colonCommands.filter((each) => isHere(each) && each.isUnlisted !== true);
  if (typed.length > 0) heading('Typed behind :');
  for (const { name, argument, title } of typed) {
    add(`:${name}`, argument === undefined ? title : `${argument}: ${title}`);
  }
  heading('The panes');
  for (const { id, title, question } of panes) add(`${paneKey(id) ?? ' '} ${title}`, question);
  return lines;
}

export const help: Command = {
  id: namedCommands.help,
  keys: ['?'],
  title: 'this help',
  bar: 'help',
  priority: 1,
  run: (context) => context.push(new HelpView(context.front.scope)),
};

export const helpScope: Scope = {
  id: 'help',
  title: 'In this help',
  commands: [
    ...moves,
    closing({ keys: ['escape', 'q', 'enter'], title: 'back', closes: help.id }),
    paletteBehind,
    ...terminalCommands,
  ],
};
