import type { Alert } from '../../live/alerts/alert-watch.js';
import type { ReplayState } from '../../live/recording/player.js';
import type { LiveState } from '../../live/state.js';
import { firstPaneId, overviewPaneIds, paneIds, type PaneId } from '../../panes/registry.js';
import type { Tone } from '../../panes/contract/column.js';
import { headerHeight, type ConnectionInfo } from '../draw/header.js';
import {
  isTooSmall,
  placePanes,
  type Layout,
  type Rectangle,
  type Size,
} from '../layout/layout.js';
import { initialPaneView, type PaneView } from './pane-view.js';

export type Message = { text: string; tone: Tone };

/** What is drawn below the view stack. Immutable. */
export type ConsoleState = {
  size: Size;
  /** What is being done until there is a connection. */
  connecting: string;
  place: ConnectionInfo | undefined;
  live: LiveState | undefined;
  /** The engine's clock when the model was last updated, for ages. */
  nowMs: number;
  /** Where the recording is that is played; undefined on a database. */
  replay: ReplayState | undefined;
  /** Set while the console records; `failure` says why recording has stopped. */
  recording: { failure: string | undefined } | undefined;
  /** The rules that hold now. */
  alerts: readonly Alert[];
  /** They wait while a moment in the past is shown. */
  alertsPaused: boolean;
  /** Of an empty database: which sessions could be imported. */
  welcome?: string | undefined;
  /** Opened as the demo, known before there is a connection. */
  isDemo: boolean;
  /** So much of the demo's history is written, 0..1; absent: it is whole, or none is being written. */
  filling?: number | undefined;
  /** Writing demo traffic here would harm nobody: empty panes mention it. */
  offersDemo: boolean;
  /** Shown together; every other pane takes the whole screen. Never empty. */
  overview: readonly PaneId[];
  /** The focused pane. */
  focus: PaneId;
  /** The pane of the overview that was focused last: where Escape leads to. */
  home: PaneId;
  zoomed: boolean;
  /** Moments are written in UTC, not in the time zone of this machine. */
  utc: boolean;
  panes: Readonly<Record<PaneId, PaneView>>;
  message: Message | undefined;
};

export function initialState(size: Size): ConsoleState {
  return {
    ...disconnected,
    size,
    nowMs: 0,
    replay: undefined,
    overview: overviewPaneIds,
    focus: firstPaneId,
    home: firstPaneId,
    zoomed: false,
    utc: false,
    panes: Object.fromEntries(paneIds.map((id) => [id, initialPaneView])) as ConsoleState['panes'],
    message: undefined,
  };
}

const disconnected = {
  connecting: 'connecting …',
  place: undefined,
  live: undefined,
  recording: undefined,
  welcome: undefined,
  isDemo: false,
  filling: undefined,
  offersDemo: false,
  alerts: [],
  alertsPaused: false,
};

/** What is kept when another database is connected: how panes are sorted and grouped, and nothing else. */
export function detached({ panes }: ConsoleState): Partial<ConsoleState> {
  const kept = Object.entries(panes).map(([id, { sort, reversed, variant, grouping }]) => [
    id,
    {
      ...initialPaneView,
      sort,
      reversed,
      ...(variant === undefined ? {} : { variant }),
      ...(grouping === undefined ? {} : { grouping }),
    },
  ]);
  return { ...disconnected, panes: Object.fromEntries(kept) as ConsoleState['panes'] };
}

/** Between header and key bar. */
export function bodyOf({ columns, rows }: Size): Rectangle {
  return { x: 0, y: headerHeight, width: columns, height: Math.max(0, rows - headerHeight - 1) };
}

/** Whether the focused pane is one that the overview does not show. */
export function isBesideOverview({ overview, focus }: ConsoleState): boolean {
  return !overview.includes(focus);
}

export function layoutOf(state: ConsoleState): Layout {
  const { size, overview, focus, zoomed } = state;
  const isAlone = zoomed || isBesideOverview(state);
  const of = [size, overview, focus, isAlone] as const;
  if (!laidOut || of.some((value, index) => value !== laidOut?.of[index])) {
    laidOut = { of, layout: placePanes(overview, bodyOf(size), focus, isAlone) };
  }
  return laidOut.layout;
}

/** The last layout, kept because panes, header and commands ask for the same one many times a frame. */
let laidOut: { of: readonly unknown[]; layout: Layout } | undefined;

/** The panes that are on the screen now: none behind what covers them. */
export function visiblePanes(
  state: ConsoleState & { readonly views: readonly { readonly covers?: boolean }[] },
): PaneId[] {
  if (isTooSmall(state.size) || state.views.some(({ covers }) => covers)) return [];
  return layoutOf(state).places.map(({ id }) => id);
}
