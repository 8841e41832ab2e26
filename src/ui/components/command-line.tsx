import { completions, noSuchCommand } from '../app/command-line.js';
import { safeLine } from '../../terminal/sanitise.js';
import { innerWidth } from '../draw/box.js';
import { dialogWidth, drawDialog } from '../draw/dialog.js';
import { choiceLines } from '../draw/prompt.js';
import { bodyOf } from '../model/model.js';
import type { PromptView } from '../model/views.js';
import type { ScreenProps } from './console-screen.js';
import { Lines } from './lines.js';

const mostLines = 14;

/** What can be typed, above the line that it is typed into. */
export function CommandLine({ app, view, model, theme }: ScreenProps & { view: PromptView }) {
  const room = bodyOf(model.size);
  const choices = completions(app, view.text);
  const body = choiceLines(theme, choices, view.index, {
    width: innerWidth(dialogWidth(room)),
    height: Math.min(mostLines, Math.max(1, room.height - 2)),
  });
  const title =
    choices.length > 0 ? `Commands, ${choices.length}` : safeLine(noSuchCommand(app, view.text));
  const { lines, width, height } = drawDialog(theme, title, body, room);
  const y = room.y + room.height - height;
  return <Lines text={theme.encode(lines.join('\n'))} x={0} y={y} width={width} height={height} />;
}
