import { safeLine } from '../../terminal/sanitise.js';
import { inView, terminalCommands } from '../commands/kinds.js';
import type { Context, Scope, View } from '../context.js';
import { drawBox, cutLines, writer, drawProgressBar } from '../draw/box.js';
import type { StyledLine } from '../draw/styled-line.js';
import type { Keymap } from '../keymap.js';
import type { Look } from '../theme.js';
import { bodyOf } from '../model/model.js';
import { innerBody, Lines } from '../screen/boxes.js';
import { quit } from './quit.js';

/** The first run, or a schema that lacks something. */
export type SchemaStage = {
  phase: 'ask' | 'applying' | 'failed' | 'incompatible';
  title: string;
  /** What would be done, or why it cannot be. */
  lines: readonly string[];
  steps: readonly { name: string; outcome: string }[];
  total: number;
};

const looks: Readonly<Record<SchemaStage['phase'], Look>> = {
  ask: 'frame',
  applying: 'frame',
  failed: 'error',
  incompatible: 'warning',
};

/** What will be created where, a line a file while it is, or why it cannot be. */
export class SchemaView implements View {
  readonly covers = true;
  readonly stage: SchemaStage;
  readonly answer: (isYes: boolean) => void;

  constructor(stage: SchemaStage, answer: (isYes: boolean) => void) {
    this.stage = stage;
    this.answer = answer;
  }

  /** Yes and no are keys only while something is asked or created. */
  get scope(): Scope {
    const { phase } = this.stage;
    return phase === 'ask' || phase === 'applying' ? schemaScope : schemaReadScope;
  }

  draw({ model, keys }: Context) {
    const { phase, title } = this.stage;
    const { x, y, width, height } = bodyOf(model.size);
    const inner = innerBody(model.size);
    const foot = footLines(keys, this.stage, inner.width);
    const body = bodyLines(this.stage, inner.width);
    const room = Math.max(0, inner.height - foot.length);
    // A question shows its beginning, progress its end.
    const shown = phase === 'applying' ? body.slice(-room) : cutLines(body, room, inner.width);
    const lines = drawBox([...shown, ...foot], {
      width,
      height,
      focused: true,
      look: looks[phase],
      title: [{ text: safeLine(title), look: 'title' }],
    });
    return <Lines lines={lines} x={x} y={y} width={width} height={height} />;
  }
}

function withoutSchema({ model }: Context): readonly View[] {
  return model.views.filter((view) => !(view instanceof SchemaView));
}

/** Shows a stage in place of the one before it; views in front of it stay there, as the question before quitting. */
export function showSchema(
  context: Context,
  stage: SchemaStage,
  answer: (isYes: boolean) => void,
): void {
  const [bottom, ...inFront] = withoutSchema(context);
  const view = new SchemaView(stage, answer);
  context.update({ views: [...(bottom ? [bottom] : []), view, ...inFront] });
}

export function closeSchema(context: Context): void {
  context.update({ views: withoutSchema(context) });
}

function bodyLines({ lines, steps }: SchemaStage, width: number): StyledLine[] {
  const write = writer(width);
  return [
    ...lines.flatMap((line) => write(safeLine(line))),
    ...steps.flatMap(({ name, outcome }) => write(safeLine(`${name}: ${outcome}`))),
  ];
}

function footLines(keys: Keymap, { phase, steps, total }: SchemaStage, width: number) {
  const write = writer(width);
  const blank = write('');
  switch (phase) {
    case 'ask': {
      const create = `${keys.keyOf(accept.id)}: create this`;
      return [...blank, ...write(`${create}    Enter, Esc: look without it`, 'title')];
    }
    case 'applying':
      return total > 0 ? [...blank, drawProgressBar(steps.length / total, width)] : blank;
    case 'failed':
    case 'incompatible':
      return [...blank, ...write('Enter: go on to the panes', 'title')];
  }
}

const accept = inView(SchemaView, {
  id: 'accept',
  keys: ['y'],
  title: 'yes',
  bar: 'yes',
  priority: 1,
  run: (view) => view.answer(true),
  unavailable: ({ stage: { phase } }) => (phase === 'ask' ? undefined : 'It is being created'),
});

const decline = inView(SchemaView, {
  id: 'decline',
  keys: ['enter', 'escape', 'n'],
  title: 'no',
  bar: 'no',
  barKeys: 2,
  priority: 1,
  run: (view) => view.answer(false),
  unavailable: ({ stage: { phase } }) =>
    phase === 'applying' ? 'It is being created; Ctrl-C stops it' : undefined,
});

const goOn = inView(SchemaView, {
  id: 'go-on',
  keys: ['enter', 'escape'],
  title: 'go on to the panes',
  bar: 'go on',
  priority: 1,
  run: (view) => view.answer(false),
});

export const schemaReadScope: Scope = {
  id: 'schema-read',
  title: 'When the schema cannot be created',
  commands: [goOn, quit, ...terminalCommands],
};

export const schemaScope: Scope = {
  id: 'schema',
  title: 'Asked to create the schema',
  commands: [accept, decline, quit, ...terminalCommands],
};
