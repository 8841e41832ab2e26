import type { ConsoleApp } from '../app/console-app.js';
import { innerHeight, innerWidth } from '../draw/box.js';
import { drawTrace } from '../draw/trace/trace.js';
import type { TraceView } from '../model/trace-view.js';
import { bodyOf } from '../model/model.js';
import { safeLine } from '../../terminal/sanitise.js';
import type { Size } from '../layout/layout.js';
import type { Theme } from '../theme.js';
import { drawOpenedBox } from '../draw/opened-box.js';
import { rowSearchFoot } from '../app/search-commands.js';
import { Lines } from './lines.js';

type Props = { app: ConsoleApp; view: TraceView; size: Size; theme: Theme };

/** A trace's whole tree on one time axis. */
export function TraceScreen({ app, view, size, theme }: Props) {
  const { x, y, width, height } = bodyOf(size);
  const inner = { width: innerWidth(width), height: innerHeight(height) };
  const { lines, top, visibleRows } = drawTrace(theme, view, inner);
  const drawn = drawOpenedBox(theme, lines, {
    width,
    height,
    title: safeLine(view.opened.title),
    note: view.order === 'slowest' ? 'slowest first' : '',
    place: view.place,
    top,
    visibleRows,
    count: view.rows.length,
    foot: rowSearchFoot(app, view),
  });
  return <Lines text={theme.encode(drawn.join('\n'))} x={x} y={y} width={width} height={height} />;
}
