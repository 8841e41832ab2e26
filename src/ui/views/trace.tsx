import { countedShort } from '../../core/format/number.js';
import { openedExport } from '../../panes/export/exportable.js';
import type { OpenedTrace } from '../../panes/contract/opening.js';
import { eventTexts } from '../../panes/trace/event.js';
import { likeOpening } from '../../panes/trace/prompts-listed.js';
import { nodeTitle, type TraceNode } from '../../panes/trace/tree.js';
import { safeLine } from '../../terminal/sanitise.js';
import { inView, terminalCommands } from '../commands/kinds.js';
import { backFromOpened, besides, openNext, refreshView } from '../commands/open.js';
import { copy, exportRows } from './export.js';
import { moves } from '../commands/rows.js';
import { help } from './help.js';
import { JudgeView, judgeScope, keepFeedback, whyNoFeedback } from './judge.js';
import { palette } from './palette.js';
import type { Context, OpenedBy, Scope, Searchable, View } from '../context.js';
import { traceColumnsLeftOut } from '../draw/trace/rows.js';
import { drawTrace, traceRoom, type TraceRoom } from '../draw/trace/trace.js';
import { namedCommands } from '../../panes/contract/pane.js';
import type { Binding } from '../keymap.js';
import type { Search } from '../model/search.js';
import { moved, scrollTop, type Movement } from '../model/list-state.js';
import {
  chosenNode,
  folded,
  foldedAll,
  moreEvents,
  notReadOn,
  refreshed,
  reordered,
  toFailure,
  toParent,
  traceState,
  type TraceState,
} from '../model/trace-state.js';
import { innerBody, OpenedBox } from '../screen/boxes.js';
import { strings } from '../strings.js';
import { nextMatchCommand, previousMatchCommand, rowSearchFoot, search } from './searching.js';

/** A trace's whole tree on one time axis. */
export class TraceView implements View {
  readonly scope: Scope = traceScope;
  readonly covers = true;
  readonly openedBy: OpenedBy;
  readonly state: TraceState;

  constructor(openedBy: OpenedBy, state: TraceState) {
    this.openedBy = openedBy;
    this.state = state;
  }

  /** The view of a reading: a new one, or the one before with newer events, its cursor and folds kept. */
  static of(openedBy: OpenedBy, opened: OpenedTrace, before: View | undefined): TraceView {
    const isSame = before instanceof TraceView;
    return new TraceView(openedBy, isSame ? refreshed(before.state, opened) : traceState(opened));
  }

  get isLive(): boolean {
    return this.state.opened.tree.running > 0;
  }

  get eventsWanted(): number {
    return this.state.wanted;
  }

  get isIncomplete(): boolean {
    const { wanted, opened } = this.state;
    return opened.tree.isCut && opened.tree.nodes.length < wanted;
  }

  notRead(): TraceView {
    return new TraceView(this.openedBy, notReadOn(this.state));
  }

  draw(context: Context) {
    const { size } = context.model;
    const { opened, order, rows } = this.state;
    const { top, visibleRows } = this.#room(context);
    return (
      <OpenedBox
        lines={drawTrace(this.state, innerBody(size))}
        title={safeLine(opened.title)}
        note={order === 'slowest' ? strings.slowestFirst : ''}
        top={top}
        visibleRows={visibleRows}
        count={rows.length}
        foot={rowSearchFoot(context, this.searchable)}
        footRight={traceColumnsLeftOut(innerBody(size).width)}
        size={size}
      />
    );
  }

  move(context: Context, by: Movement): void {
    const { index, rows } = this.state;
    const next = moved(index, by, rows.length, this.#room(context).visibleRows);
    if (next !== index) this.show(context, { ...this.state, index: next });
    else if (next === rows.length - 1) this.#readOn(context);
  }

  /** At the last event the next ones are read, where there are more. */
  #readOn(context: Context): void {
    const wanted = moreEvents(this.state);
    if (wanted === undefined) return;
    context.replace(this, new TraceView(this.openedBy, { ...this.state, wanted }));
    context.drilldowns.refresh(this.openedBy);
    context.say(strings.readingOn);
  }

  /** Another state, scrolled as little as it needs from where this one is. */
  show(context: Context, state: TraceState): void {
    context.replace(this, this.#scrolled(context, state));
  }

  target() {
    const node = chosenNode(this.state);
    return node && this.state.opened.open(node.event.key);
  }

  beside(context: Context, by: 1 | -1) {
    const { opened, index, rows } = this.state;
    const node = rows[index + by];
    const opening = node && opened.open(node.event.key);
    if (!opening) return undefined;
    return () => {
      this.show(context, { ...this.state, index: index + by });
      return opening;
    };
  }

  copyable() {
    const { correlationId } = this.state.opened.tree.asked.event;
    return { text: correlationId, what: `the correlation id ${correlationId}` };
  }

  exportable() {
    return openedExport(this.state.opened);
  }

  get searchable(): Searchable {
    const { search: searched, index, rows, opened } = this.state;
    const { tree } = opened;
    return {
      search: searched,
      linesOnly: true,
      among: tree.isCut ? `the first ${countedShort(tree.nodes.length, 'event')}` : undefined,
      line: () => index,
      texts: () => textsOf(rows),
      found: (context: Context, line: number, next: Search | undefined) =>
        this.#scrolled(context, { ...this.state, index: line, search: next }),
    };
  }

  #scrolled(context: Context, state: TraceState): TraceView {
    const { top, visibleRows } = this.#room(context);
    const next = scrollTop(top, state.index, visibleRows, state.rows.length);
    return new TraceView(this.openedBy, { ...state, top: next });
  }

  #room({ model }: Context): TraceRoom {
    return traceRoom(this.state, innerBody(model.size).height);
  }
}

/** The texts that are searched, one a row: the same array for the same rows, so that found matches are kept. */
const rowTexts = new WeakMap<readonly TraceNode[], readonly string[]>();

function textsOf(rows: readonly TraceNode[]): readonly string[] {
  const known = rowTexts.get(rows);
  if (known) return known;
  const texts = rows.map((node) => [nodeTitle(node), ...eventTexts(node.event)].join(' '));
  rowTexts.set(rows, texts);
  return texts;
}

type Change = (state: TraceState) => TraceState | undefined;

function inTrace(
  binding: Binding,
  change: Change,
  unavailable?: (state: TraceState, context: Context) => string | undefined,
  /** What is said where it leads to nothing else than what is shown. */
  same = 'There is nothing to fold or unfold here',
) {
  return inView(TraceView, {
    ...binding,
    run(view, context) {
      const { state } = view;
      const next = change(state);
      if (next && next !== state) view.show(context, next);
      const isSame = !next || (next.index === state.index && next.rows === state.rows);
      if (isSame) context.say(same);
    },
    unavailable: (view, context) => unavailable?.(view.state, context),
  });
}

function whyNoFold({ order }: TraceState, { keys }: Context): string | undefined {
  if (order !== 'slowest') return undefined;
  return `Not while sorted by slowest; ${keys.keyOf('slowest')} shows the tree`;
}

const onlyFailure = 'This is the only failure of the trace';

function whyNoFailure({ opened }: TraceState): string | undefined {
  return opened.tree.failures > 0 ? undefined : 'Nothing failed in this trace';
}

const own = {
  failures: [
    inTrace(
      {
        id: 'next-failure',
        keys: ['f'],
        title: 'to the next failure, also a folded one',
        bar: 'failure',
        priority: 2,
      },
      (state) => toFailure(state, 1),
      whyNoFailure,
      onlyFailure,
    ),
    inTrace(
      { id: 'previous-failure', keys: ['F'], title: 'to the failure before' },
      (state) => toFailure(state, -1),
      whyNoFailure,
      onlyFailure,
    ),
  ],
  alike: inView(TraceView, {
    id: 'alike',
    keys: ['a'],
    title:
      'traces like this one: by the embedding of its routing where there is one, by the words of its prompt else',
    bar: 'alike',
    priority: 4,
    run: (view, context) =>
      context.drilldowns.open(likeOpening(view.state.opened.tree.asked.event.id)),
  }),
  slowest: inTrace(
    {
      id: 'slowest',
      keys: ['s'],
      title: 'what made it slow: events by the time the whole waited for them; again: the tree',
      bar: 'slowest',
      priority: 2,
    },
    reordered,
  ),
  folds: [
    inTrace(
      {
        id: 'fold',
        keys: ['o', 'space'],
        title: 'hide or show what is below the event',
        bar: 'fold',
        priority: 4,
      },
      (state) => folded(state),
      (state, context) =>
        whyNoFold(state, context) ??
        (chosenNode(state)?.children.length === 0 ? 'Nothing is below this event' : undefined),
    ),
    inTrace(
      { id: 'fold-or-parent', keys: ['left', 'h'], title: 'fold, or go to the parent' },
      (state) => {
        const next = folded(state, 'folded');
        return next === state ? toParent(state) : next;
      },
    ),
    inTrace(
      { id: 'unfold-tree', keys: ['right', 'l'], title: 'unfold' },
      (state) => folded(state, 'unfolded'),
      whyNoFold,
    ),
    inTrace(
      {
        id: 'fold-all',
        keys: ['O'],
        title: 'fold everything below the first level, or unfold all',
      },
      foldedAll,
      whyNoFold,
    ),
  ],
};

/** A command that rates the turn as good or bad, for the next learning. */
function judge(isGood: boolean, binding: Binding) {
  return inView(TraceView, {
    ...binding,
    needsDatabase: true,
    run: (view, context) => void keepFeedback(context, askedId(view), isGood),
    unavailable: (_, context) => whyNoFeedback(context),
  });
}

function askedId({ state }: TraceView): string {
  return state.opened.tree.asked.event.correlationId;
}

const feedback = [
  inView(TraceView, {
    id: namedCommands.judge,
    keys: ['w'],
    title: 'say whether this turn went well: asks, y or n',
    bar: 'went well?',
    priority: 8,
    asks: judgeScope.id,
    needsDatabase: true,
    run: (view, context) => JudgeView.open(context, askedId(view)),
    unavailable: (_, context) => whyNoFeedback(context),
  }),
  judge(true, {
    id: 'good-turn',
    keys: ['+'],
    title: 'say that this turn went well, without a question',
  }),
  judge(false, {
    id: 'bad-turn',
    keys: ['-'],
    title: 'say that this turn went badly, without a question',
  }),
];

export const traceScope: Scope = {
  id: 'trace',
  title: 'In a trace',
  isInHelp: true,
  needsDatabase: true,
  commands: [
    search,
    nextMatchCommand,
    previousMatchCommand,
    palette,
    ...moves,
    openNext,
    ...own.failures,
    own.slowest,
    own.alike,
    ...own.folds,
    ...feedback,
    ...besides,
    refreshView,
    backFromOpened,
    copy,
    exportRows,
    help,
    ...terminalCommands,
  ],
};
