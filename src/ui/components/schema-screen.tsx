import type { ConsoleApp } from '../app/console-app.js';
import { drawBox, innerHeight, innerWidth } from '../draw/box.js';
import { cutLines, writer } from '../draw/dialog.js';
import { drawProgressBar } from '../draw/progress-bar.js';
import type { Keys } from '../keys/keys.js';
import type { Size } from '../layout/layout.js';
import { bodyOf, type SchemaStage } from '../model/model.js';
import type { Look, Theme } from '../theme.js';
import { safeLine } from '../../terminal/sanitise.js';
import { Lines } from './lines.js';

type Props = { app: ConsoleApp; stage: SchemaStage; size: Size; theme: Theme };

const looks: Readonly<Record<SchemaStage['phase'], Look>> = {
  ask: 'frame',
  applying: 'frame',
  failed: 'error',
  incompatible: 'warning',
};

/** The first run: what will be created where, a line a file while it is, or why it cannot be. */
export function SchemaScreen({ app, stage, size, theme }: Props) {
  const { x, y, width, height } = bodyOf(size);
  const visible = innerHeight(height);
  const foot = footLines(theme, app.keys, stage, innerWidth(width));
  const body = bodyLines(theme, stage, innerWidth(width));
  const room = Math.max(0, visible - foot.length);
  // A question shows its beginning, progress its end.
  const shown =
    stage.phase === 'applying' ? body.slice(-room) : cutLines(theme, body, room, innerWidth(width));
  const lines = drawBox(theme, [...shown, ...foot], {
    width,
    height,
    focused: true,
    look: looks[stage.phase],
    title: [{ text: safeLine(stage.title), look: 'title' }],
  });
  return <Lines text={theme.encode(lines.join('\n'))} x={x} y={y} width={width} height={height} />;
}

function bodyLines(theme: Theme, { lines, steps }: SchemaStage, width: number): string[] {
  const write = writer(theme, width);
  return [
    ...lines.flatMap((line) => write(safeLine(line))),
    ...steps.flatMap(({ name, outcome }) => write(safeLine(`${name}: ${outcome}`))),
  ];
}

function footLines(theme: Theme, keys: Keys, stage: SchemaStage, width: number): string[] {
  const write = writer(theme, width);
  const blank = write('');
  switch (stage.phase) {
    case 'ask':
      return [
        ...blank,
        ...write(`${keys.keyOf('accept')}: create this    Enter, Esc: look without it`, 'title'),
      ];
    case 'applying':
      return stage.total > 0
        ? [...blank, drawProgressBar(theme, stage.steps.length / stage.total, width)]
        : blank;
    case 'failed':
    case 'incompatible':
      return [...blank, ...write('Enter: go on to the panes', 'title')];
  }
}
