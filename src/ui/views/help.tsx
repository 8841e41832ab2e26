import { useMemo } from 'react';
import { paneKey, panes } from '../../panes/registry.js';
import { wrapText } from '../../terminal/width.js';
import { closing, terminalCommands } from '../commands/kinds.js';
import { moves } from '../commands/rows.js';
import type { Context, Scope, View } from '../context.js';
import { blank, cell, type StyledLine } from '../draw/styled-line.js';
import { type Keymap, keysText } from '../keymap.js';
import { moved, type Movement } from '../model/scroll.js';
import { innerBody, TextBox } from '../screen/boxes.js';

/** Every key there is, and what each pane answers. */
export class HelpView implements View {
  readonly scope: Scope = helpScope;
  readonly covers = true;
  readonly top: number;

  constructor(top = 0) {
    this.top = top;
  }

  draw(context: Context) {
    return <HelpScreen view={this} context={context} />;
  }

  move(context: Context, by: Movement): void {
    const { width, height } = innerBody(context.model.size);
    const length = helpLines(context.keys, width).length;
    const count = Math.max(1, length - height + 1);
    const top = moved(Math.min(this.top, count - 1), by, count, height);
    if (top !== this.top) context.replace(this, new HelpView(top));
  }
}

function HelpScreen({ view, context }: { view: HelpView; context: Context }) {
  const { keys, model } = context;
  const { width } = innerBody(model.size);
  const lines = useMemo(() => helpLines(keys, width), [keys, width]);
  return <TextBox title="Keys" lines={lines} top={view.top} size={model.size} />;
}

const keyColumn = 16;

/** A key that works in several scopes is listed once. */
export function helpLines(keys: Keymap, width: number): StyledLine[] {
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
  for (const { title, commands } of keys.scopes.filter(({ isInHelp }) => isInHelp)) {
    heading(title);
    for (const command of commands.filter((each) => !seen.has(each))) {
      seen.add(command);
      add(keysText(command), keys.inText(command.title));
    }
  }
  heading('The panes');
  for (const { id, title, question } of panes) add(`${paneKey(id) ?? ' '} ${title}`, question);
  return lines;
}

export const helpScope: Scope = {
  id: 'help',
  title: 'In this help',
  commands: [
    ...moves,
    closing({ keys: ['escape', 'q', 'enter'], title: 'back', closes: 'help' }),
    ...terminalCommands,
  ],
};
