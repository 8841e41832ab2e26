import { safeLine } from '../../terminal/sanitise.js';
import { drawKeyBar } from '../draw/key-bar.js';
import { drawPrompt } from '../draw/prompt.js';
import { drawSegments } from '../draw/segments.js';
import { scopeOf } from '../model/model.js';
import type { ScreenProps } from './console-screen.js';
import { Lines } from './lines.js';

/** The keys there are; for some seconds instead: what a key has done, or why it could not. */
export function BottomLine({ app, model, theme }: ScreenProps) {
  const { columns, rows } = model.size;
  const { message } = model;
  const prompt = model.views.at(-1);
  const line =
    prompt?.kind === 'prompt' && !message
      ? drawPrompt(theme, app.keys, prompt, columns)
      : message
        ? drawSegments(theme, [{ text: ` ${safeLine(message.text)}`, look: message.tone }], columns)
        : drawKeyBar(theme, app.keys, scopeOf(model), columns);
  return <Lines text={theme.encode(line)} x={0} y={rows - 1} width={columns} height={1} />;
}
