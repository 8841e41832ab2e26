import { counted } from '../../core/format/number.js';
import { allRowsExport, openedExport } from '../../panes/export/exportable.js';
import type { ListRequest, OpenedList } from '../../panes/contract/opening.js';
import { withUnits } from '../../panes/contract/filter.js';
import { safeLine } from '../../terminal/sanitise.js';
import { listActions } from '../commands/actions.js';
import { inView, terminalCommands } from '../commands/kinds.js';
import { copy, exportRows, jsonOf } from './export.js';
import { columnsLeft, columnsRight, moves } from '../commands/rows.js';
import { filter } from '../commands/filter.js';
import { nothingMore, openBinding, refreshView } from '../commands/open.js';
import { help } from './help.js';
import { valuesIn } from './prompt.js';
import { palette } from './palette.js';
import { moments } from '../commands/moment.js';
import { longerWindow, shorterWindow } from '../commands/timing.js';
import type { Command, Context, Copyable, Filtered, OpenedBy, Scope, View } from '../context.js';
import { writer } from '../draw/box.js';
import { fillingText } from '../draw/header.js';
import { drawSummary, type Segment, type StyledLine } from '../draw/styled-line.js';
import { columnsOutOfView, drawTable, hiddenColumns, tableColumnsWidth } from '../draw/table.js';
import {
  chosenRow,
  listState,
  nextRequest,
  pagesOf,
  withReading,
  type ListState,
  moved,
  scrollTop,
  type Movement,
  type Scroll,
} from '../model/list-state.js';
import { innerBody, OpenedBox } from '../screen/boxes.js';
import { strings } from '../strings.js';

/** A list of rows; Enter opens one. It is read again at the cadence of the panes. */
export class ListView implements View {
  readonly scope: Scope = listScope;
  readonly covers = true;
  readonly openedBy: OpenedBy;
  readonly state: ListState;

  constructor(openedBy: OpenedBy, state: ListState) {
    this.openedBy = openedBy;
    this.state = state;
  }

  /** The view of a reading: a new one, or the one before with newer rows, its cursor on the same row. */
  static of(openedBy: OpenedBy, opened: OpenedList, before: View | undefined): ListView {
    const isSame = before instanceof ListView;
    return new ListView(openedBy, isSame ? withReading(before.state, opened) : listState(opened));
  }

  get isLive(): boolean {
    return this.state.opened.paging.isInMemory !== true;
  }

  /** Why there is no window or failure to choose here. */
  whyNot(what: 'window' | 'failed'): string | undefined {
    const inMemory =
      what === 'window' ? 'These rows have no window' : 'None of these rows can fail';
    return this.isLive ? this.state.opened.paging.whyNot?.[what] : inMemory;
  }

  get whyNoWindow(): string | undefined {
    return this.whyNot('window');
  }

  get listRequest(): ListRequest {
    return nextRequest(this.state);
  }

  draw(context: Context) {
    const { size } = context.model;
    const { opened, wanted } = this.state;
    const { top, height } = this.#scroll(context);
    const order = opened.paging.orders.find(({ id }) => id === wanted.sort);
    return (
      <OpenedBox
        lines={this.#lines(context)}
        title={safeLine([opened.title, this.#filterText].filter(Boolean).join(' '))}
        note={order ? strings.inOrder(order.title) : ''}
        top={top}
        visibleRows={height}
        count={opened.paging.total ?? opened.rows.length}
        isMore={opened.paging.hasMore && opened.paging.total === undefined}
        foot={this.#foot}
        footRight={columnsOutOfView(this.state.shift, this.hiddenColumns(context), context.keys)}
        size={size}
      />
    );
  }

  move(context: Context, by: Movement): void {
    const { index, opened } = this.state;
    const { height } = this.#scroll(context);
    const next = moved(index, by, opened.rows.length, height);
    if (next !== index) this.choose(context, next);
    else this.#readMore(context);
  }

  whyNotMove(): string | undefined {
    return this.state.opened.rows.length > 0 ? undefined : 'There are no rows';
  }

  /** Puts the cursor on a row, which it follows from then on; near the last row the next page is read. */
  choose(context: Context, index: number, change: Partial<ListState> = {}): void {
    const state = { ...this.state, ...change, index, hasChosen: true };
    const view = this.#scrolled(context, state);
    context.replace(this, view);
    view.#readMore(context);
  }

  shifted(context: Context, by: 1 | -1): void {
    const shift = this.state.shift + by;
    context.replace(this, new ListView(this.openedBy, { ...this.state, shift }));
  }

  /** Asks for other rows, from their beginning. */
  ask(context: Context, wanted: Partial<ListState['wanted']>): void {
    const state = { ...this.state, wanted: { ...this.state.wanted, ...wanted } };
    const view = new ListView(this.openedBy, { ...state, index: 0, top: 0, hasChosen: false });
    context.replace(this, view);
    context.drilldowns.refresh(this.openedBy);
  }

  target() {
    const row = chosenRow(this.state);
    return row && this.state.opened.open?.(row);
  }

  beside(context: Context, by: 1 | -1) {
    const { index, opened } = this.state;
    const row = opened.rows[index + by];
    const opening = row && opened.open?.(row);
    if (!opening) return undefined;
    return () => {
      this.choose(context, index + by);
      return opening;
    };
  }

  /** The rows that are marked, or the one under the cursor where none is. */
  get chosenRows(): readonly object[] {
    const { marks, opened } = this.state;
    if (marks.size > 0) return opened.rows.filter((row) => marks.has(opened.rowKey(row)));
    const row = chosenRow(this.state);
    return row ? [row] : [];
  }

  copyable(): Copyable | undefined {
    const rows = this.chosenRows;
    const [row] = rows;
    const { opened } = this.state;
    if (!row) return undefined;
    if (!opened.copy) return jsonOf(row);
    const ids = rows.map((each) => safeLine(opened.copy?.(each) ?? ''));
    const what = ids.length === 1 ? `the id ${ids[0]}` : counted(ids.length, 'id');
    return { text: ids.join('\n'), what };
  }

  /** The marked rows, or all that there are: those that were not read yet are read for it. */
  exportable(context: Context) {
    const { marks, opened, wanted } = this.state;
    if (marks.size > 0) return openedExport({ ...opened, rows: this.chosenRows });
    if (!opened.paging.hasMore) return openedExport(opened);
    const { opening } = this.openedBy;
    const read = context.drilldowns.reader();
    return allRowsExport(opened, () => pagesOf((list) => read(opening, { list }), wanted));
  }

  filtered(context: Context): Filtered {
    const { paging, rows, columns } = this.state.opened;
    return {
      filter: this.state.wanted.filter,
      show: (typed) => this.#show(context, typed),
      fields: paging.fields,
      values: ({ id }) => valuesIn(rows, columns, id),
    };
  }

  #show(context: Context, typed: string): void {
    const { opened, wanted } = this.state;
    const filter = withUnits(typed, opened.paging.fields);
    if (filter !== wanted.filter) this.ask(context, { filter });
  }

  /** Columns that have no room, to the right. */
  hiddenColumns({ model }: Context): number {
    const { opened, marks, shift } = this.state;
    const { columns, rows, asOf } = opened;
    if (rows.length === 0) return 0;
    const width = tableColumnsWidth(innerBody(model.size).width, marks.size > 0);
    return hiddenColumns(columns, shift, width, { rows, context: { nowMs: asOf.getTime() } });
  }

  get #filterText(): string {
    const { filter, failedOnly } = this.state.wanted;
    return [filter && `/${filter}`, failedOnly && 'only failed'].filter(Boolean).join(' ');
  }

  get #foot(): readonly Segment[] {
    const { marks } = this.state;
    const shown = marks.size > 0 ? this.chosenRows.length : 0;
    const hidden = shown < marks.size ? `, ${marks.size - shown} not shown` : '';
    return marks.size > 0 ? [{ text: `${marks.size} marked${hidden}`, look: 'accent' }] : [];
  }

  #readMore(context: Context): void {
    const { index, opened, wantsMore } = this.state;
    const { height } = this.#scroll(context);
    if (wantsMore || !opened.paging.hasMore || index < opened.rows.length - 2 * height) return;
    context.replace(this, new ListView(this.openedBy, { ...this.state, wantsMore: true }));
    context.drilldowns.refresh(this.openedBy);
  }

  #lines(context: Context): readonly StyledLine[] {
    const { width } = innerBody(context.model.size);
    const { opened, index, marks, wanted } = this.state;
    const { columns, rows, asOf, empty } = opened;
    const { shift } = this.state;
    const above = this.#hasSummary ? [this.#summary(width)] : [];
    if (rows.length === 0) {
      const isChosen = wanted.filter !== '' || wanted.failedOnly;
      const { filling } = context.model;
      const none =
        filling !== undefined
          ? strings.beingFilled(fillingText(filling))
          : isChosen
            ? `None matches ${this.#filterText}; :back shows all.`
            : empty;
      return [...above, ...writer(width)(context.keys.inText(none), 'muted')];
    }
    const { top, height } = this.#scroll(context);
    const isMarked = marks.size > 0 ? (row: object) => marks.has(opened.rowKey(row)) : undefined;
    const options = { width, height, top, cursor: index, shift, faded: false, isMarked };
    const table = drawTable(columns, rows, { nowMs: asOf.getTime() }, options);
    return [...above, table.heading, ...table.rows];
  }

  get #hasSummary(): boolean {
    return this.state.opened.summary.length > 0;
  }

  #summary(width: number): StyledLine {
    const segments = this.state.opened.summary.map(({ text, tone }, at) => ({
      text: safeLine(text),
      look: tone,
      priority: at + 1,
    }));
    return drawSummary(segments, width);
  }

  #scrolled(context: Context, state: ListState): ListView {
    const { top, height } = this.#scroll(context);
    const next = scrollTop(top, state.index, height, state.opened.rows.length);
    return new ListView(this.openedBy, { ...state, top: next });
  }

  #scroll({ model }: Context): Scroll {
    const { index, top, opened } = this.state;
    const above = this.#hasSummary ? 1 : 0;
    const height = Math.max(1, innerBody(model.size).height - above - 1);
    return { top: scrollTop(top, index, height, opened.rows.length), height };
  }
}

const whyNoRow = ({ state }: ListView) =>
  chosenRow(state) ? undefined : 'There is no row under the cursor';

const own = {
  open: inView(ListView, {
    ...openBinding,
    /** Also makes the cursor follow the row, so that Escape leads back to it although rows may have moved. */
    run(view, context) {
      const target = view.target();
      view.choose(context, view.state.index);
      if (target) context.drilldowns.open(target);
    },
    unavailable: (view) => (view.target() ? undefined : nothingMore),
  }),
  sort: inView(ListView, {
    id: 'list-sort',
    keys: ['s'],
    title: 'sort by the next column: the newest, the slowest',
    bar: 'sort',
    priority: 5,
    run(view, context) {
      const { orders } = view.state.opened.paging;
      const here = orders.findIndex(({ id }) => id === view.state.wanted.sort);
      view.ask(context, { sort: orders[(Math.max(0, here) + 1) % orders.length]?.id });
    },
    unavailable: ({ state }) =>
      state.opened.paging.orders.length > 1 ? undefined : 'These rows have one order',
  }),
  failed: inView(ListView, {
    id: 'only-failed',
    keys: ['f'],
    title: 'only what failed; again: all',
    bar: 'failed',
    priority: 4,
    run: (view, context) => view.ask(context, { failedOnly: !view.state.wanted.failedOnly }),
    unavailable: (view) => view.whyNot('failed'),
  }),
  mark: inView(ListView, {
    id: 'list-mark',
    keys: ['m'],
    title: 'mark or unmark the row; copy and export take all marked rows',
    run(view, context) {
      const { marks, opened, index } = view.state;
      const row = chosenRow(view.state);
      const key = row && opened.rowKey(row);
      if (key === undefined) return;
      const changed = new Set(marks);
      if (!changed.delete(key)) changed.add(key);
      const next = Math.min(index + 1, opened.rows.length - 1);
      view.choose(context, next, { marks: changed });
    },
    unavailable: whyNoRow,
  }),
  columnsRight: inView(ListView, {
    ...columnsRight,
    run: (view, context) => view.shifted(context, 1),
    unavailable: (view, context) =>
      view.hiddenColumns(context) > 0 ? undefined : strings.noMoreColumns,
  }),
  columnsLeft: inView(ListView, {
    ...columnsLeft,
    run: (view, context) => view.shifted(context, -1),
    unavailable: ({ state }) => (state.shift > 0 ? undefined : strings.firstColumn),
  }),
  back: inView(ListView, {
    id: 'back',
    keys: ['escape', 'q'],
    title: 'one step back: marks, filter, then to the row that was opened',
    bar: 'back',
    priority: 1,
    run(view, context, key) {
      const { marks, wanted } = view.state;
      if (key === 'q') context.pop();
      else if (marks.size > 0)
        context.replace(view, new ListView(view.openedBy, { ...view.state, marks: new Set() }));
      else if (wanted.filter !== '' || wanted.failedOnly)
        view.ask(context, { filter: '', failedOnly: false });
      else context.pop();
    },
  }),
};

/** Actions that are done to all rows of a list; unavailable unless this is their list. */
const actionsOfLists: readonly Command[] = listActions.map(({ command, list }) => {
  const isFor = ({ front }: Context) =>
    front instanceof ListView && front.state.opened.id === list.id;
  return {
    ...command,
    bar: list.bar,
    priority: 3,
    isOnBar: (context) => context.database?.readOnly !== true && isFor(context),
    unavailable: (context, key) =>
      isFor(context) ? command.unavailable?.(context, key) : `These are not the ${list.id} traces`,
  };
});

export const listScope: Scope = {
  id: 'list',
  title: 'In a list',
  isInHelp: true,
  needsDatabase: true,
  commands: [
    filter,
    palette,
    ...moves,
    own.open,
    own.failed,
    own.sort,
    own.mark,
    own.columnsRight,
    own.columnsLeft,
    ...actionsOfLists,
    longerWindow,
    shorterWindow,
    ...moments.map((command) => ({ ...command, isOnBar: () => false })),
    refreshView,
    own.back,
    copy,
    exportRows,
    help,
    ...terminalCommands,
  ],
};
