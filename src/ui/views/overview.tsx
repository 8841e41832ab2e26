import { counted } from '../../core/format/number.js';
import { memo } from 'react';
import { isBeingFilled, type LiveState, type PaneSnapshot } from '../../live/state.js';
import { fieldsOf } from '../../panes/contract/filter.js';
import { idOf, rowOpening } from '../../panes/contract/pane.js';
import { paneExport } from '../../panes/export/exportable.js';
import { paneById, paneKey, type AnyPane } from '../../panes/registry.js';
import { formatAge } from '../../core/format/time.js';
import { safeLine } from '../../terminal/sanitise.js';
import { overviewCommands } from '../commands/registry.js';
import { chosenRows, cursorAt, focusedRoom, markedRows, whyNoMarked } from '../commands/rows.js';
import type { Context, Copyable, Filtered, Scope, View } from '../context.js';
import { fillingText } from '../draw/header.js';
import { drawPane, type PaneInput, summaryOf } from '../draw/pane.js';
import type { Place } from '../layout/layout.js';
import { layoutOf } from '../model/model.js';
import { findCursor, shownPane } from '../model/pane-view.js';
import { moved, type Movement } from '../model/list-state.js';
import { jsonOf } from './export.js';
import { valuesIn } from './prompt.js';
import { strings } from '../strings.js';
import { Lines } from '../screen/boxes.js';
import { drawSummary, type Segment, blank, cell, type StyledLine } from '../draw/styled-line.js';

/** The panes, or one of them on the whole screen: the bottom of the view stack. */
class Overview implements View {
  get scope(): Scope {
    return overviewScope;
  }

  draw(context: Context) {
    const { model } = context;
    const { live } = model;
    if (!live) return null;
    return layoutOf(model).places.map((place) => (
      <PaneRegion key={place.id} context={context} live={live} place={place} />
    ));
  }

  move(context: Context, by: Movement): void {
    const { pane, rows, view } = context.focus;
    const { index = 0 } = findCursor(pane, rows, view);
    const height = focusedRoom(context)?.visibleRows ?? 2;
    context.focus.change(cursorAt(context, moved(index, by, rows.length, height)));
  }

  beside(context: Context, by: 1 | -1) {
    const { pane, rows, view } = context.focus;
    const { index } = findCursor(pane, rows, view);
    const row = index === undefined ? undefined : rows[index + by];
    const opening = row && rowOpening(pane, row);
    if (index === undefined || !opening) return undefined;
    return () => {
      context.focus.change(cursorAt(context, index + by));
      return opening;
    };
  }

  whyNotMove({ focus: { rows, pane } }: Context): string | undefined {
    return rows.length > 0 ? undefined : `${pane.title} has no rows`;
  }

  /** The ids of the marked rows, one a line, or the whole row under the cursor. */
  copyable(context: Context): Copyable | undefined {
    const { pane, view } = context.focus;
    const rows = chosenRows(context);
    const [row] = rows;
    if (!row) return undefined;
    if (view.marks.size === 0) return jsonOf(row);
    const ids = rows.map((each) => safeLine(idOf(pane, each)));
    return { text: ids.join('\n'), what: `${ids.length} ${ids.length === 1 ? 'id' : 'ids'}` };
  }

  /** The marked rows, or all that are shown. */
  exportable(context: Context) {
    const { pane, rows, view } = context.focus;
    const isMarked = view.marks.size > 0;
    const chosen = isMarked ? markedRows(context) : rows;
    return chosen.length > 0 ? paneExport(pane, chosen, isMarked ? 'marked' : 'shown') : undefined;
  }

  filtered({ focus, model }: Context): Filtered {
    const { pane } = focus;
    const fields = fieldsOf(pane);
    return {
      filter: focus.view.filter,
      show: (filter) => focus.filter(filter),
      fields,
      values: ({ id }) => valuesIn(model.live?.panes[pane.id].rows ?? [], fields, id),
    };
  }

  whyNothingChosen(context: Context): string | undefined {
    return whyNoMarked(context);
  }
}

export const overview: View = new Overview();

export const overviewScope: Scope = {
  id: 'panes',
  title: 'In the panes',
  isInHelp: true,
  commands: overviewCommands,
};

type RegionProps = { context: Context; live: LiveState; place: Place };

function PaneRegion({ context, live, place }: RegionProps) {
  const { model, keys } = context;
  const { id, kind, x, y, width, height } = place;
  const pane = shownPane(paneById(id), model.panes[id]);
  const snapshot = live.panes[id];
  const number = paneKey(id);
  const isConnected = live.connection.state === 'connected';
  const age = ageOf(snapshot, model.nowMs, { isConnected, isPaused: live.paused });
  if (kind === 'line') {
    const { filling } = model;
    const line = drawPaneLine({ pane, snapshot, number, width, age, filling });
    return <Lines lines={[line]} x={x} y={y} width={width} height={height} />;
  }
  return (
    <DrawnPane
      x={x}
      y={y}
      pane={pane}
      snapshot={snapshot}
      view={model.panes[id]}
      keys={keys}
      number={number}
      width={width}
      height={height}
      focused={model.focus === id}
      offersDemo={model.offersDemo}
      filling={isBeingFilled(snapshot, model.filling) ? model.filling : undefined}
      welcome={model.focus === id ? model.welcome : undefined}
      age={age}
      cadenceMs={live.cadenceMs}
      utc={model.utc}
    />
  );
}

/** Drawn again only when something of it has changed: most frames change one pane of six. */
const DrawnPane = memo(function DrawnPane({
  x,
  y,
  ...input
}: PaneInput & { x: number; y: number }) {
  const { width, height } = input;
  return <Lines lines={drawPane(input)} x={x} y={y} width={width} height={height} />;
});

/** Rows that are this much older than the interval are shown with their age. */
const lateMs = 5_000;

/**
 * How old a pane's rows are, in words, where they are not fresh: it failed, is paused, lost its
 * connection, or the answer is overdue. Undefined while they are.
 */
function ageOf(
  { receivedAtMs, intervalMs, error }: PaneSnapshot,
  nowMs: number,
  { isConnected, isPaused }: { isConnected: boolean; isPaused: boolean },
): string | undefined {
  if (receivedAtMs === null) return undefined;
  const age = nowMs - receivedAtMs;
  if (age < 1_000) return undefined;
  const isSuspicious = error !== null || !isConnected || isPaused;
  return isSuspicious || age > intervalMs + lateMs ? `${formatAge(age)} ago` : undefined;
}

type PaneLineInput = {
  pane: AnyPane;
  snapshot: PaneSnapshot;
  number: string | undefined;
  width: number;
  age: string | undefined;
  filling: number | undefined;
};

/** Titles stand in one column, so that the summaries do. */
const titleWidth = 14;

/** A pane as one line: its number, its title and its summary. */
function drawPaneLine(input: PaneLineInput): StyledLine {
  const { pane, number, width } = input;
  const room = Math.max(0, width - titleWidth - 5);
  return [
    blank(1),
    { text: number ?? ' ', look: 'key' },
    blank(1),
    cell(pane.title, titleWidth),
    blank(2),
    ...drawSummary(restOf(input), room),
  ];
}

function restOf({ pane, snapshot, age, filling }: PaneLineInput): Segment[] {
  const { error, asOf, rows, notes } = snapshot;
  if (isBeingFilled(snapshot, filling)) {
    return [{ text: strings.beingFilled(fillingText(filling)), look: 'running' }];
  }
  if (error) return [{ text: safeLine(error.message), look: 'error' }];
  if (!asOf) return [{ text: 'asking …', look: 'muted' }];
  const segments = summaryOf(pane, snapshot)[0] ?? [];
  const [note] = notes;
  return [
    ...(age === undefined ? [] : [{ text: `as of ${age}`, look: 'warning' as const }]),
    ...(note === undefined
      ? []
      : [{ text: safeLine(note), look: 'warning' as const, priority: 2 }]),
    ...(segments.length > 0
      ? segments
      : [{ text: counted(rows.length, 'row'), look: 'muted' as const }]),
  ];
}
