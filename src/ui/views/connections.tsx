import { safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit } from '../../terminal/width.js';
import { closing, inView, terminalCommands, whyOffline } from '../commands/kinds.js';
import { moves } from '../commands/rows.js';
import type {
  ColonCommand,
  Command,
  ConnectionChoice,
  Connections,
  Context,
  Scope,
  View,
} from '../context.js';
import { plainText, styled, type StyledLine } from '../draw/styled-line.js';
import { moved, scrollTop, type Movement } from '../model/list-state.js';
import { Dialog, innerDialog } from '../screen/boxes.js';
import { quitScope } from './quit.js';
import { paletteBehind } from './palette.js';

/** The databases that the console can connect to, to choose from. */
export class ConnectionsView implements View {
  readonly scope: Scope = connectionsScope;
  readonly asksToLeave = true;
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }

  draw({ model: { size }, connections }: Context) {
    if (!connections) return null;
    const { width, height } = innerDialog(size);
    const { choices } = connections;
    const top = scrollTop(0, this.index, height, choices.length);
    const body = connectionLines(connections, width)
      .slice(top, top + height)
      .map((line, row) => (top + row === this.index ? styled(plainText(line), 'selected') : line));
    return <Dialog title="Connections" body={body} size={size} />;
  }

  move(context: Context, by: Movement): void {
    const count = context.connections?.choices.length ?? 0;
    const index = moved(this.index, by, count, count);
    if (index !== this.index) context.replace(this, new ConnectionsView(index));
  }
}

/** A line each: ● for the current one, the name in its badge's colour, guards as `read-only`, and where it is. */
function connectionLines({ choices, current }: Connections, width: number): StyledLine[] {
  const columnOf = (texts: readonly string[]) => Math.max(0, ...texts.map(displayWidth));
  const names = columnOf(choices.map(({ name }) => name)) + 2;
  const guards = columnOf(choices.map(guardsOf)) + 2;
  const room = Math.max(0, width - 2 - names - guards);
  return choices.map((choice) => {
    const name = ` ${choice.name} `;
    const { badge } = choice;
    return [
      { text: choice === current ? '● ' : '  ' },
      { text: name, look: badge && (`badge-${badge.colour}` as const) },
      { text: ' '.repeat(Math.max(0, names - displayWidth(name))) },
      {
        text: fit(guardsOf(choice), guards) + fit(safeLine(choice.description), room),
        look: 'muted',
      },
    ];
  });
}

function guardsOf({ badge, readOnly }: ConnectionChoice): string {
  return [badge?.production ? 'production' : '', readOnly ? 'read-only' : '']
    .filter(Boolean)
    .join(', ');
}

function whyNoConnections(context: Context): string | undefined {
  return context.connections && context.model.live ? undefined : whyOffline(context);
}

function openConnections(context: Context): void {
  const { choices, current } = context.connections ?? {};
  if (choices && current) context.push(new ConnectionsView(choices.indexOf(current)));
}

export const connections: Command = {
  id: 'connections',
  keys: ['C'],
  title: 'the connections of the config file: go to another database',
  needsDatabase: true,
  asks: quitScope.id,
  run: openConnections,
  unavailable: whyNoConnections,
};

export const colonConnect: ColonCommand = {
  name: 'connect',
  needsDatabase: true,
  title: 'go to another database; alone: the list of them',
  argument: 'NAME',
  values: (context) => ['', ...(context.connections?.choices.map(({ name }) => name) ?? [])],
  valueTitle: (context, value) =>
    context.connections?.choices.find(({ name }) => name === value)?.description,
  run(context, name) {
    const reason = whyNoConnections(context);
    if (reason !== undefined) context.say(reason, 'warning');
    else if (name === '') openConnections(context);
    else context.connections?.goTo(name);
  },
};

const choose = inView(ConnectionsView, {
  id: 'choose',
  isFixed: true,
  keys: ['enter'],
  title: 'connect to the chosen one',
  bar: 'connect',
  priority: 1,
  run({ index }, context) {
    const choice = context.connections?.choices[index];
    context.pop();
    if (choice) context.connections.goTo(choice.name);
  },
});

export const connectionsScope: Scope = {
  id: 'connections',
  title: 'In the list of connections',
  commands: [
    ...moves,
    choose,
    closing({ keys: ['escape', 'q'], title: 'back to the panes', closes: connections.id }),
    paletteBehind,
    ...terminalCommands,
  ],
};
