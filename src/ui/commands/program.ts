import type { ColonCommand, Command, Context } from '../context.js';
import { HelpView } from '../views/help.js';
import { QuitView, quitScope } from '../views/quit.js';
import { PalettePrompt } from '../views/palette.js';
import { needsLive, whyOffline } from './kinds.js';
import { ConnectionsView } from '../views/connections.js';

export const help: Command = {
  id: 'help',
  keys: ['?'],
  title: 'this help',
  bar: 'help',
  priority: 1,
  run: (context) => context.push(new HelpView(context.front.scope)),
};

export const quit: Command = {
  id: 'quit',
  keys: ['q'],
  title: 'quit; asks first while an action runs',
  bar: 'quit',
  priority: 1,
  asks: quitScope.id,
  run(context) {
    if (context.actions?.isRunning) context.push(new QuitView());
    else context.end(0);
  },
};

export const palette: Command = {
  id: 'command-line',
  keys: [':'],
  title: 'every command, pane and setting by name',
  bar: 'command',
  priority: 3,
  run: (context) => context.push(new PalettePrompt()),
  unavailable: needsLive,
};

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
