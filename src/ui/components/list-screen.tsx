import type { ConsoleApp } from '../app/console-app.js';
import { safeLine } from '../../terminal/sanitise.js';
import { innerHeight, innerWidth } from '../draw/box.js';
import { writer } from '../draw/dialog.js';
import { drawOpenedBox } from '../draw/opened-box.js';
import { drawSegments } from '../draw/segments.js';
import { drawTable } from '../draw/table.js';
import type { Size } from '../layout/layout.js';
import type { ListView } from '../model/list-view.js';
import { bodyOf } from '../model/model.js';
import { scrollTop } from '../model/pane-view.js';
import type { Theme } from '../theme.js';
import { rowSearchFoot } from '../app/search-commands.js';
import { Lines } from './lines.js';

type Props = { app: ConsoleApp; view: ListView; size: Size; theme: Theme };

/** A list that Enter has opened; Enter on a row of it goes one step further. */
export function ListScreen({ app, view, size, theme }: Props) {
  const { x, y, width, height } = bodyOf(size);
  const { opened, index, place } = view;
  const { columns, rows, summary, asOf, empty } = opened;
  const inner = innerWidth(width);
  const above =
    summary.length === 0
      ? []
      : [
          drawSegments(
            theme,
            summary.map(({ text, tone }, at) => ({
              text: safeLine(text),
              look: tone,
              priority: at + 1,
            })),
            inner,
            ' · ',
          ),
        ];
  const visibleRows = Math.max(1, innerHeight(height) - above.length - 1);
  const top = scrollTop(place.top, index, visibleRows, rows.length);
  const table = drawTable(
    theme,
    columns,
    rows,
    { nowMs: asOf.getTime() },
    {
      width: inner,
      height: visibleRows,
      top,
      cursor: index,
      faded: false,
    },
  );
  const body =
    rows.length === 0
      ? writer(theme, inner)(app.keys.inText(empty), 'muted')
      : [table.heading, ...table.rows];
  const drawn = drawOpenedBox(theme, [...above, ...body], {
    width,
    height,
    title: safeLine(opened.title),
    note: view.order === 'slowest' ? 'slowest first' : '',
    place,
    top,
    visibleRows,
    count: rows.length,
    foot: rowSearchFoot(app, view),
  });
  return <Lines text={theme.encode(drawn.join('\n'))} x={x} y={y} width={width} height={height} />;
}
