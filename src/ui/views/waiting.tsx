import type { Keymap } from '../keymap.js';
import type { Failure } from '../../db/errors.js';
import type { Opened, OpenedRecords } from '../../panes/contract/opening.js';
import { safeLine } from '../../terminal/sanitise.js';
import { backFromOpened, besides, refreshView } from '../commands/open.js';
import { terminalCommands, closing, inView } from '../commands/kinds.js';
import type { ConnectionChoice, Context, OpenedBy, Scope, View } from '../context.js';
import { failureLines, writer } from '../draw/box.js';
import { innerBody, TextBox } from '../screen/boxes.js';
import { strings } from '../strings.js';
import { help } from './help.js';
import { ListView } from './list.js';
import { RecordView } from './record.js';
import { TraceView } from './trace.js';
import { palette } from './palette.js';

/** What Enter has opened, until it is read, or why it could not be. */
export class WaitingView implements View {
  readonly scope: Scope = waitingScope;
  readonly covers = true;
  readonly openedBy: OpenedBy;
  readonly failure: Failure | undefined;
  /** Keys for the view that replaces this one, pressed before it was read. Commands of this scope are not held. */
  readonly heldKeys: string[] = [];

  constructor(openedBy: OpenedBy, failure?: Failure) {
    this.openedBy = openedBy;
    this.failure = failure;
  }

  /** A failed reading is tried again: locks are released, connections come back. */
  get isLive(): boolean {
    return this.failure !== undefined;
  }

  draw({ model: { size }, keys }: Context) {
    const { failure, openedBy } = this;
    const write = writer(innerBody(size).width);
    const lines = failure ? failureLines(write, failure, keys) : write(strings.asking, 'muted');
    return <TextBox title={safeLine(openedBy.opening.title)} lines={lines} size={size} />;
  }

  takesKey(context: Context, key: string): boolean {
    if (this.failure || context.keys.commandOf(this.scope, key)) return false;
    this.heldKeys.push(key);
    return true;
  }
}

/** The view of what was read; `before` is the view that it replaces. */
export function openedView(
  openedBy: OpenedBy,
  opened: Opened,
  before: View | undefined,
  keys: Keymap,
): View {
  switch (opened.kind) {
    case 'records':
      return RecordView.of(openedBy, withKeys(opened, keys), before);
    case 'list':
      return ListView.of(openedBy, opened, before);
    case 'trace':
      return TraceView.of(openedBy, opened, before);
  }
}

/** Lines that name commands name their keys. */
function withKeys(opened: OpenedRecords, keys: Keymap): OpenedRecords {
  const sections = opened.sections?.map((section) => ({
    ...section,
    lines: section.lines.map((line) =>
      line.map((part) =>
        part.namesCommands === true ? { ...part, text: keys.inText(part.text) } : part,
      ),
    ),
  }));
  return sections ? { ...opened, sections } : opened;
}

/** The view that says why nothing could be read; undefined: what was read before stays in view. */
export function failedView(openedBy: OpenedBy, failure: Failure, before: View): View | undefined {
  return before instanceof WaitingView ? new WaitingView(openedBy, failure) : undefined;
}

export const waitingScope: Scope = {
  id: 'waiting',
  title: 'While something opens',
  commands: [...besides, refreshView, backFromOpened, palette, help, ...terminalCommands],
};

type ConnectingState = {
  choice: ConnectionChoice;
  /** Where Escape leads back to. */
  back: string;
  progress: string;
  failure: Failure | undefined;
};

/** Shown while connecting to another database; the old one stays connected behind it. */
export class ConnectingView implements View {
  readonly scope: Scope = connectingScope;
  readonly covers = true;
  readonly endsWithConnection = true;
  readonly state: ConnectingState;

  constructor(choice: ConnectionChoice, back: string, change: Partial<ConnectingState> = {}) {
    this.state = { choice, back, progress: strings.connecting, failure: undefined, ...change };
  }

  with(change: Partial<ConnectingState>): ConnectingView {
    const { choice, back } = this.state;
    return new ConnectingView(choice, back, { ...this.state, ...change });
  }

  get destination() {
    const { choice, failure } = this.state;
    return { toward: choice, connecting: failure ? '○ no connection' : '○ connecting' };
  }

  draw({ model: { size }, keys }: Context) {
    const { choice, back, progress, failure } = this.state;
    const write = writer(innerBody(size).width);
    const lines = failure
      ? [
          ...failureLines(write, failure),
          ...write(''),
          ...write(`Enter, Esc: back to ${safeLine(back)}`),
          ...write(`${keys.keyOf(retry.id)}: try again`),
        ]
      : [
          ...write(safeLine(choice.description), 'muted'),
          ...write(safeLine(progress)),
          ...write(''),
          ...write(`Esc: back to ${safeLine(back)}`, 'muted'),
        ];
    const title = failure ? `${choice.name} cannot be opened` : `Connecting to ${choice.name}`;
    return <TextBox title={title} lines={lines} size={size} />;
  }
}

const retry = inView(ConnectingView, {
  id: 'retry',
  keys: ['r'],
  title: 'try again, when it could not be reached',
  bar: 'try again',
  priority: 2,
  run: ({ state }, context) => void context.connections?.connect(state.choice),
  unavailable: ({ state }) => (state.failure ? undefined : 'It is connecting'),
});

export const connectingScope: Scope = {
  id: 'connecting',
  title: 'While it connects',
  commands: [
    retry,
    closing(
      {
        keys: ['escape', 'enter', 'q'],
        title: 'back to the database that was there before',
      },
      (context) => {
        context.connections?.callOff();
        context.pop();
      },
    ),
    ...terminalCommands,
  ],
};
