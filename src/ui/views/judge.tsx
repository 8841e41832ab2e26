import { failureOf } from '../../db/errors.js';
import type { SummaryLine, SummarySegment } from '../../panes/contract/column.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { judgementLines } from '../../panes/reading/record.js';
import { closing, inView, terminalCommands, whyOffline } from '../commands/kinds.js';
import type { Context, Scope, View } from '../context.js';
import { writer } from '../draw/box.js';
import type { Binding } from '../keymap.js';
import { Dialog, innerDialog } from '../screen/boxes.js';
import { failureText, strings } from '../strings.js';

export function whyNoFeedback(context: Context): string | undefined {
  const { database } = context;
  if (!database) return whyOffline(context);
  return database.readOnly ? strings.consoleIsReadOnly : undefined;
}

export async function keepFeedback(context: Context, correlationId: string, isGood: boolean) {
  const { database } = context;
  if (!database) return;
  try {
    const { giveFeedback } = await import('../../learning/calibrate.js');
    await giveFeedback(database, { correlationId, isGood });
    const said = isGood ? 'good' : 'bad';
    context.say(`Kept: this turn was ${said}. The next run of learn counts it so.`);
  } catch (error) {
    context.say(failureText(failureOf(error)), 'error');
  }
}

/** Asks whether the turn went well, with what learning and people said of it until now. */
export class JudgeView implements View {
  readonly scope: Scope = judgeScope;
  readonly endsWithConnection = true;
  readonly correlationId: string;
  readonly known: readonly SummaryLine[];

  constructor(correlationId: string, known: readonly SummaryLine[]) {
    this.correlationId = correlationId;
    this.known = known;
  }

  static open(context: Context, correlationId: string): void {
    const asking = new JudgeView(correlationId, [[{ text: strings.asking, tone: 'muted' }]]);
    context.push(asking);
    const { database } = context;
    if (!database) return;
    const read = judgementLines(
      (text, values) => database.read(text, values, usualLimits),
      database.capabilities.schema,
      correlationId,
    );
    const show = (lines: readonly SummaryLine[]) =>
      context.replace(asking, new JudgeView(correlationId, lines));
    read.then(
      (lines) => show(lines.length > 0 ? lines : [[{ text: 'Nothing is known of it yet.' }]]),
      (error: unknown) => show([[{ text: failureText(failureOf(error)), tone: 'error' }]]),
    );
  }

  draw({ model: { size }, keys }: Context) {
    const write = writer(innerDialog(size).width);
    const body = [
      ...this.known.flatMap(([first, ...others]) => [
        ...write(joined([first, ...others.filter(isReason)]), first?.tone),
        ...others.filter((part) => !isReason(part)).flatMap(({ text, tone }) => write(text, tone)),
      ]),
      ...write(''),
      ...write(`${keys.keyOf(itWentWell.id)}: yes, it went well`),
      ...write(`${keys.keyOf(itWentBadly.id)}: no, it went badly`),
      ...write('Esc: back, say nothing'),
    ];
    return <Dialog title="Did this turn go well?" body={body} size={size} />;
  }
}

/** Why, beside what was said; a prompt or a note stands below it. */
const isReason = ({ tone }: SummarySegment) => tone === undefined;

const joined = (parts: readonly (SummarySegment | undefined)[]) =>
  parts.map((part) => part?.text ?? '').join(' ');

function answer(isGood: boolean, binding: Binding) {
  return inView(JudgeView, {
    ...binding,
    accepts: true,
    priority: 1,
    run({ correlationId }, context) {
      context.pop();
      void keepFeedback(context, correlationId, isGood);
    },
  });
}

const itWentWell = answer(true, {
  id: 'went-well',
  keys: ['y'],
  title: 'yes, it went well',
  bar: 'yes',
});
const itWentBadly = answer(false, {
  id: 'went-badly',
  keys: ['n'],
  title: 'no, it went badly',
  bar: 'no',
});

export const judgeScope: Scope = {
  id: 'judge',
  title: 'Did a turn go well?',
  isInHelp: true,
  needsDatabase: true,
  commands: [
    itWentWell,
    itWentBadly,
    closing({ keys: ['escape', 'q'], title: 'say nothing' }),
    ...terminalCommands,
  ],
};
